"""The registry: packaged entries are sound, one's own are added by path, wrong ones are told before the first row."""

from pathlib import Path

import pytest

from sightline.errors import ConfigError, DataError, UnknownNameError
from sightline.mixtures.registry import check_sums, data_set, data_sets, scene_lists, source_files

OWN = "what: Mine.\nlayout: llava\nsplits:\n  train: {files: ['a/*.json']}\n"
NAMED = {
    *("spatial_mllm_mix_133k", "spatial_mllm_mix_203k", "route_plan_scannet_2k", "route_plan_4k", "vsi_590k", "mindcube_21k", "scanqa"),
    *(
        "sqa3d",
        "vsi_bench",
        "multispa",
        "video_3d_llm",
        "embodiedscan_sft",
        "llava",
        "sharegpt",
        "alpaca",
        "qwen_vl",
        "openai",
        "sightline",
    ),
}


def own(folder, text=OWN, name="mine"):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(text)
    return folder / f"{name}.yaml"


def test_every_packaged_entry_says_what_it_is_and_how_to_obtain_it():
    found = data_sets()
    assert set(found) == NAMED
    for one in found.values():
        entry = one.entry
        assert entry.what.endswith(".") and entry.obtain != "unknown" and entry.licence and entry.splits, one.name
        assert set(entry.benchmark_splits) <= set(entry.splits)


def test_published_counts_and_benchmarks_are_known():
    found = data_sets()
    assert {split: files.rows for split, files in found["sqa3d"].entry.splits.items()} == {"train": 26623, "val": 3261, "test": 3519}
    assert found["vsi_bench"].entry.splits["test"].rows == 5130 and found["multispa"].entry.splits["test"].rows == 7800
    assert {name for name, one in found.items() if one.entry.benchmark_splits} == {
        *("sqa3d", "scanqa", "sightline", "vsi_bench", "multispa", "mindcube_21k", "video_3d_llm")
    }


def test_lists_of_scenes_are_those_of_the_guard():
    assert len(scene_lists()["sqa3d_test"]) == 67 and "scene0011" in scene_lists()["scannet_val"]


def test_entries_of_ones_own_come_by_file_or_folder_and_may_replace_packaged_ones(tmp_path):
    path = own(tmp_path / "mine")
    assert data_set(str(path)).entry.layout == "llava" and data_set("mine", [tmp_path / "mine"]).name == "mine"
    own(tmp_path / "mine", OWN.replace("llava", "alpaca"), "llava")
    assert data_sets([tmp_path / "mine"])["llava"].entry.layout == "alpaca" and data_sets()["llava"].entry.layout == "llava"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OWN.replace("layout: llava", "layout: lava"), "Did you mean 'llava'"),
        (OWN + "lisence: x\n", "Did you mean 'licence'"),
        (OWN + "options: {media_prefx: x}\n", "Did you mean 'media_prefix'"),
        (OWN.replace("['a/*.json']", "['a'], scenes_in: [scannet_vall]"), "Did you mean 'scannet_val'"),
        (OWN + "benchmark_splits: [test]\n", "expected names of splits"),
        ("what: x\nlayout: llava\nsplits: {}\n", "expected at least one"),
    ],
)
def test_a_wrong_entry_is_told_when_it_is_read(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        data_set(str(own(tmp_path, text)))


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'scanqa'"):
        data_set("scanqaa")
    with pytest.raises(UnknownNameError, match="no split called 'tesst'. Did you mean 'test'"):
        data_set("sqa3d").split("tesst")
    with pytest.raises(ConfigError, match="expected a YAML file or a folder of them"):
        data_sets([Path("/no/such/folder")])


def test_the_split_is_train_or_the_only_one():
    assert data_set("sqa3d").split(None)[0] == "train" and data_set("vsi_bench").split(None)[0] == "test"


def test_files_are_found_by_their_patterns_and_missing_ones_say_how_to_get_them(tmp_path):
    mine = data_set(str(own(tmp_path)))
    with pytest.raises(DataError, match="expected a/\\*.json of data set 'mine', split 'train', found none. How to obtain it: unknown"):
        source_files(mine, "train", tmp_path)
    (tmp_path / "a").mkdir()
    for name in ("2.json", "1.json"):
        (tmp_path / "a" / name).write_text("[]")
    assert [path.name for path in source_files(mine, "train", tmp_path)] == ["1.json", "2.json"]
    assert source_files(mine, "train", tmp_path / "a" / "2.json") == [tmp_path / "a" / "2.json"]


def test_a_file_with_another_checksum_than_the_known_one_is_refused(tmp_path):
    known = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"  # SHA-256 of "a", FIPS 180-4
    mine = data_set(str(own(tmp_path, OWN.replace("['a/*.json']", f"[a.json], sha256: {{a.json: {known}}}"))))
    (tmp_path / "a.json").write_text("a")
    assert check_sums(mine, "train", [tmp_path / "a.json"]) == {"a.json": known}
    (tmp_path / "a.json").write_text("b")
    with pytest.raises(DataError, match=f"expected SHA-256 {known} of data set 'mine'"):
        check_sums(mine, "train", [tmp_path / "a.json"])
