"""A folder of lmms-eval tasks, one per question task, scored by the formats that asked for the answers."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import yaml

from sightline.files import write_text
from sightline.samples.export import ExportAbout, ExportRow
from sightline.samples.formats.tables import write_tables

MOST_NEW_TOKENS = 128  # the longest answer is a 3-D box of some 60 tokens
UTILS = '''"""Shows the rows of this folder to a model and scores its replies. Needs sightline: pip install sightline"""

from sightline.samples.formats.lmms_scoring import doc_to_target, doc_to_text, doc_to_visual, mean, process_results

__all__ = ["doc_to_target", "doc_to_text", "doc_to_visual", "mean", "process_results"]
'''


class LmmsEval:
    """`<group>.yaml` per split, one YAML and Parquet per task of it, and `utils.py`; the YAML names the Parquet by absolute path."""

    with_video: ClassVar[bool] = False
    embeds_images: ClassVar[bool] = True
    takes_data_urls: ClassVar[bool] = False

    def write(self, rows: Mapping[str, Sequence[ExportRow]], about: ExportAbout) -> None:
        write_text(about.folder / "utils.py", UTILS)
        for split, of_split in rows.items():
            group = f"{about.name}_{split}"
            by_task: dict[str, list[ExportRow]] = {}
            for row in of_split:
                by_task.setdefault(row.sample.task, []).append(row)
            for task, of_task in sorted(by_task.items()):
                stem = f"{group}_{task}"
                names = write_tables(about.folder / "data", stem, of_task, images_from=about.folder, embedded=True)
                files = [(about.out.resolve() / "data" / name).as_posix() for name in names]
                write_text(about.folder / f"{stem}.yaml", task_yaml(stem, files=files))
            write_text(about.folder / f"{group}.yaml", group_yaml(group, tasks=[f"{group}_{task}" for task in sorted(by_task)]))


def task_yaml(name: str, *, files: Sequence[str]) -> str:
    """One task: where its rows lie, how they are shown, how replies are scored."""
    plain = {
        "task": name,
        "dataset_path": "parquet",
        "dataset_kwargs": {"data_files": {"test": list(files)}},
        "test_split": "test",
        "output_type": "generate_until",
        "generation_kwargs": {"max_new_tokens": MOST_NEW_TOKENS, "temperature": 0, "do_sample": False},
        "metadata": {"version": 1.0},
    }
    functions = [f"{what}: !function utils.{what}" for what in ("doc_to_visual", "doc_to_text", "doc_to_target", "process_results")]
    metrics = ["metric_list:"]
    for metric in ("score", "parsed"):
        metrics += [f"- metric: {metric}", "  aggregation: !function utils.mean", "  higher_is_better: true"]
    return yaml.safe_dump(plain, sort_keys=False, width=1000) + "\n".join([*functions, *metrics]) + "\n"


def group_yaml(name: str, *, tasks: Sequence[str]) -> str:
    """All tasks of a split under one name; its score is the mean over tasks, each counted once."""
    lists = [{"metric": metric, "aggregation": "mean", "weight_by_size": False} for metric in ("score", "parsed")]
    return yaml.safe_dump(
        {"group": name, "task": list(tasks), "aggregate_metric_list": lists, "metadata": {"version": 1.0}}, sort_keys=False
    )
