"""The report as a document: whole, self-contained, escaped, and only as long as its inputs."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from made_reports import make_sample
from PIL import Image

from sightline.answers.choice import Choice
from sightline.answers.number import Number
from sightline.captures.images import read_rgb
from sightline.errors import CaptureError, DataError
from sightline.evaluation.results import Result
from sightline.questions.question import MARK_COLOURS
from sightline.reports.cards import TRUTH, draw_card, fact, write_cards
from sightline.reports.gallery import FrameLibrary, chosen_samples, question_card, task_replies
from sightline.reports.inputs import ReportInputs
from sightline.reports.report import render_report, seconds, write_report
from sightline.reports.sections import statistics

VOID = {"meta", "input", "br", "img", "link", "hr"}
SECTIONS = ("scores", "steps", "plans", "questions", "replies", "training", "data", "verification", "skips", "notes")


class Page(HTMLParser):
    """Collects tags, ids and text; complains about tags that do not close in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.ids, self.attributes, self.text = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def html(made):
    return render_report(made.inputs)


def test_the_page_is_well_formed_and_has_every_section(html):
    page = Page(html)
    assert [one for one in page.ids if one in SECTIONS] == list(SECTIONS)
    assert len(set(page.ids)) == len(page.ids)
    links = [value[1:] for tag, name, value in page.attributes if name == "href" and value.startswith("#")]
    assert set(links) <= set(page.ids)


def test_the_page_fetches_nothing_and_runs_nothing(html):
    page = Page(html)
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags)
    assert "http://" not in html and "https://" not in html and "@import" not in html and "url(" not in html
    for tag, name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("src", "href"):
            assert value.startswith(("data:image/", "#", "scenes/")), (tag, value[:40])


def test_the_page_says_command_times_scores_and_limits(html):
    text = " ".join("".join(Page(html).text).split())
    for words in (
        "make demo",
        "sightline train demo",
        "70 s",
        "95.8",
        "2 of 2",
        "tasks above all rivals",
        "Two rooms are few.",
        "too close to tell",
    ):
        assert words in text, words
    assert "the same model without geometry" in text
    assert html.count('<span class="star" title="above all rivals') == 3  # two tasks and the mean, in the table
    assert "98.7 %" in text and "0.42 cm" in text and "1 pose not finite" in text


def test_what_is_not_given_is_not_there(made):
    bare = render_report(ReportInputs(title="My flat", summary="One scan.", command="", scenes=(made.scene,)))
    assert [one for one in Page(bare).ids if one in SECTIONS] == ["plans", "verification"]
    assert [one for one in Page(render_report(ReportInputs(title="x", summary="", command=""))).ids if one in SECTIONS] == []
    own = replace(made.inputs, evaluations=(), results={}, runs=(), steps=(), notes=(), headline=None)
    assert [one for one in Page(render_report(own)).ids if one in SECTIONS] == ["plans", "questions", "data", "verification", "skips"]


def test_strings_of_users_and_models_are_escaped_wherever_they_stand(made):
    evil = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    choice = Choice(options=(evil, "blue"))
    sample = replace(
        make_sample(900, "depth_comparison", choice, "A", question=evil), licence=evil, template_id=evil, evidence={evil: evil}
    )
    results = {
        model: (
            *made.inputs.results[model],
            Result(sample_id=sample.sample_id, task=sample.task, reply=evil, truth="A", score=-1.0, is_parsed=True, explanation=evil),
        )
        for model in ("none", "sin3d")
    }
    scene = replace(
        made.scene,
        scan_id=evil,
        licence=evil,
        objects=tuple(replace(one, category=evil) for one in made.scene.objects),
        structure=replace(made.scene.structure, rooms=tuple(replace(room, label=evil) for room in made.scene.structure.rooms)),
    )
    inputs = replace(
        made.inputs,
        title=evil,
        summary=evil,
        command=evil,
        samples=(sample, *made.inputs.samples),
        scenes=(scene,),
        results=results,
        notes=(evil,),
        machine={evil: evil},
        model_notes={"none": evil},
        steps=tuple(replace(step, title=evil, detail=evil, command=evil) for step in made.inputs.steps),
        skips=tuple(replace(skip, reason=evil) for skip in made.inputs.skips),
    )
    page = Page(render_report(inputs))
    assert "script" not in page.tags and "img" not in page.tags
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "".join(page.text).count("alert(1)") > 15


def test_the_same_inputs_give_the_same_bytes(made, html, tmp_path):
    write_report(made.inputs, tmp_path / "out" / "report.html")
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8") == html


def test_each_frame_is_embedded_once_and_shows_the_stored_pixels(made, html):
    images = re.findall(r'<image id="frame-\d+" href="data:image/jpeg;base64,([^"]+)"', html)
    assert len(images) == 2  # the samples show two frames, in dozens of cards
    assert html.count('href="#frame-0"') > 10
    stored = [read_rgb(made.store / f"box_room/color/{index:06d}.png") for index in (0, 1)]
    for encoded, pixels in zip(images, stored):
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))
        assert shown.shape == pixels.shape
        assert np.abs(shown.astype(int) - pixels).mean() < 6.0


def test_frames_shrink_until_they_fit_into_the_page(made, monkeypatch):
    monkeypatch.setattr("sightline.reports.gallery.EMBED_WIDTHS_PX", (64, 48, 24))
    library = FrameLibrary(store=made.store)
    library.add("box_room/color/000000.png")
    sizes = []
    for limit in (10**9, 1):
        monkeypatch.setattr("sightline.reports.gallery.EMBED_BYTES", limit)
        encoded = re.search(r"base64,([^\"]+)", str(library.embedded()))[1]
        sizes.append(Image.open(io.BytesIO(base64.b64decode(encoded))).size)
    assert sizes == [(64, 48), (24, 18)]


def test_a_mark_is_drawn_at_the_centre_of_its_pixel_in_its_colour(made):
    sample = make_sample(0, "depth_comparison", Choice(options=("red", "blue")), "A")
    card = question_card(sample, FrameLibrary(store=made.store))
    first, second = (str(picture.drawing) for picture in card.pictures)
    assert 'cx="30.5" cy="40.5"' in first and 'fill="rgb(255,0,0)"' in first and 'fill="rgb(0,64,255)"' in first
    assert "<circle" not in second
    assert 'viewBox="0 0 96 72"' in first


def test_image_paths_that_leave_the_store_are_refused(made):
    library = FrameLibrary(store=made.store)
    for path in ("../secret.png", "/etc/hostname", "a/../../b.png"):
        with pytest.raises(DataError, match="inside the scene store"):
            library.add(path)
    with pytest.raises(CaptureError, match="nothing.png"):
        library.add("nothing.png")


def test_samples_without_a_store_and_results_without_samples_say_what_is_missing(made):
    with pytest.raises(DataError, match="scene store"):
        render_report(replace(made.inputs, store=None))
    with pytest.raises(DataError, match="'box_room/depth_comparison/0' without its sample"):
        render_report(replace(made.inputs, samples=()))


def test_the_gallery_spreads_over_the_data_set(made):
    chosen = chosen_samples(made.inputs.samples, 6)
    assert [sample.task for sample in chosen] == ["depth_comparison"] * 6 + ["depth_estimation"] * 6
    assert {sample.scan_id for sample in chosen} == {"box_room", "train_room"}
    assert len({sample.sample_id for sample in chosen}) == 12


def test_best_come_before_worst_and_unparsable_replies_stand_apart(made):
    by_id = {sample.sample_id: sample for sample in made.inputs.samples}
    shown = task_replies(by_id, made.inputs.results, headline="sin3d", per_task=2, library=FrameLibrary(store=made.store))
    comparison, estimation = shown
    assert comparison.task == "depth_comparison" and [one.reply.score for one in comparison.best] == [1.0, 1.0]
    # the most telling ones first: right where the other model was wrong
    assert all(one.rivals[0].score == 0.0 and one.rivals[0].model == "none" for one in comparison.best)
    assert comparison.unparsable_count == 1 and comparison.unparsable[0].reply.raw == "no idea"
    assert comparison.unparsable[0].reply.state == "unparsable" and comparison.unparsable[0].reply.parsed == ""
    poor = task_replies(by_id, made.inputs.results, headline="none", per_task=3, library=FrameLibrary(store=made.store))[1]
    assert max(one.reply.score for one in poor.worst) == 0.0 < min(one.reply.score for one in poor.best)
    assert "truth" in poor.worst[0].reply.explanation and poor.worst[0].reply.parsed == "1"


def test_replies_that_do_not_stop_or_break_a_character_are_shown_all_the_same(made, tmp_path):
    results = {
        model: tuple(replace(one, reply="1.0 \ud83d" + "la" * 5000, explanation="\ud83d") for one in scored)
        for model, scored in made.inputs.results.items()
    }
    write_report(replace(made.inputs, results=results), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "lala" in page and "la" * 300 not in page


def test_answers_in_several_units_are_counted_apart(made):
    rows = [make_sample(i, "object_size", Number(unit=unit, decimals=0), 10.0 + i) for i, unit in enumerate(["m", "cm", "m"])]
    (task,) = statistics(rows)
    assert [re.search(r"answers, (\w+)", str(chart))[1] for chart in task.charts] == ["cm", "m"]
    bars = [re.findall(r"<title>[^<]*: (\d+)</title>", str(chart)) for chart in task.charts]
    assert [sum(map(int, counts)) for counts in bars] == [1, 2]


def test_values_read_with_their_units():
    assert fact("gap_m", 1.23456).value == "1.235 m" and fact("gap_m", 1.23456).name == "gap"
    assert fact("turn_deg", 31.26).value == "31.3\u00b0"
    assert fact("overlap", 0.614).value == "61 %"
    assert fact("count", 3.0).value == "3"
    assert fact("nearer_dot", "red").name == "nearer dot"
    assert [seconds(value) for value in (None, 3.21, 42.0, 185.0, 3720.0)] == ["\u2013", "3.2 s", "42 s", "3 min 05 s", "1 h 02 min"]


def test_a_card_as_png_carries_its_marks(made, tmp_path):
    sample = make_sample(0, "depth_comparison", Choice(options=("red", "blue")), "A")
    images = [read_rgb(made.store / path) for path in sample.image_paths]
    draw_card(sample, images, tmp_path / "card.png")
    card = np.asarray(Image.open(tmp_path / "card.png").convert("RGB")).astype(int)
    assert card.shape[1] == 1000
    picture_px = (1000 - 2 * 16 - 14) / 2
    for colour, u_px in (("red", 30.0), ("blue", 70.0)):
        v, u = np.nonzero(np.abs(card - MARK_COLOURS[colour]).max(axis=2) < 12)
        assert np.mean(u) == pytest.approx(16 + (u_px + 0.5) / 96 * picture_px, abs=1.5), colour
        assert 16 < u.max() - u.min() < 40
    with pytest.raises(DataError, match="expected 2 images, found 1"):
        draw_card(sample, images[:1], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_cards_are_written_one_per_question_and_show_where_the_answer_is(made, tmp_path):
    whole = make_sample(0, "depth_comparison", Choice(options=("red", "blue")), "A")
    place = {
        "answer_kind": "point",
        "answer_options": {"width": 96, "height": 72},
        "answer_text": "[500, 500]",
        "answer_value": (500.0, 500.0),
    }
    one = {"frame_ids": whole.frame_ids[:1], "image_paths": whole.image_paths[:1], "marks": ()}
    sample = replace(whole, task="place", **place, **one)
    paths = write_cards([sample, replace(sample, sample_id="other")], made.store, tmp_path, per_task=1, kind="jpg")
    assert [path.name for path in paths] == ["place.jpg"]
    card = np.asarray(Image.open(paths[0]).convert("RGB")).astype(int)
    v, u = np.nonzero(np.abs(card - TRUTH).max(axis=2) < 50)
    assert len(u) and np.mean(u) == pytest.approx(500, abs=6)


def test_a_card_draws_the_box_that_is_the_answer(made, tmp_path):
    whole = make_sample(0, "depth_comparison", Choice(options=("red", "blue")), "A")
    answer = {"answer_kind": "box", "answer_options": {"width": 96, "height": 72}, "answer_text": "[250, 250, 750, 500]"}
    one = {"frame_ids": whole.frame_ids[:1], "image_paths": whole.image_paths[:1], "marks": ()}
    sample = replace(whole, task="frame", answer_value=(250.0, 250.0, 750.0, 500.0), **answer, **one)
    (path,) = write_cards([sample], made.store, tmp_path, per_task=1, kind="png")
    card = np.asarray(Image.open(path).convert("RGB")).astype(int)
    v, u = np.nonzero(np.abs(card - TRUTH).max(axis=2) < 10)
    assert (u.min() + u.max()) / 2 == pytest.approx(500, abs=6) and u.max() - u.min() == pytest.approx(500, abs=16)
