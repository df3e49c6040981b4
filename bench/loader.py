"""Prints what feeding a model costs: pictures to packed rows, random rows of a large table, resuming, packing. `loader.py [--quick]`.

CPU seconds in interleaved rounds. Memory is the resident set of processes of their own.
"""

import json
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedTokenizerBase
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from sightline.mixtures.mixture import MixtureRecipe, SourceRecipe
from sightline.mixtures.plan import planned
from sightline.mixtures.stream import MixtureStream
from sightline.models.conversation_encoder import ConversationEncoder
from sightline.models.packed import pack, share
from sightline.models.presets_tiny import tiny_of
from sightline.models.processor import SpatialVLProcessor
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration
from sightline.models.tokenizer import train_tokenizer
from sightline.samples.conversation import FOLDER, Conversation, Picture, Turn
from sightline.samples.conversation_files import ConversationTable, write_conversations
from sightline.samples.frames import FrameCache
from sightline.samples.media import Media
from sightline.training.stream_data import StreamData

from timing import Timed, interleaved, ratio, row

WORDS = (
    "How many chairs are there in this room?",
    "What is the distance between the table and the sofa in metres?",
    "Which of these objects is closest to the door? A. lamp B. bed C. chair D. sink",
    "If I stand by the window and face the bed, is the desk to my left, right or back? Explain in one sentence.",
)
RESUMED_AT = 10**6


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of a whole run, or of one that takes seconds."""

    rounds: int = 5
    pictures: int = 4
    stored: tuple[tuple[int, int], ...] = ((640, 480), (1296, 968))  # as published sets and ScanNet's own frames have them
    shown: tuple[int, int] = (644, 476)  # pixels of Qwen2.5-VL that a 640x480 picture has
    rows: int = 1_000_000
    reads: int = 2_000
    packed_steps: int = 24
    sets: int = 64  # of pictures in a step
    budgets: tuple[int, ...] = (2048, 4096, 8192)
    questions: int = 8


QUICK = Sizes(rounds=1, pictures=2, stored=((64, 48),), shown=(56, 56), rows=1_000, reads=20, packed_steps=1, sets=4, budgets=(2048,))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def write_picture(path: Path, seed: int, width: int, height: int) -> None:
    """Smooth surfaces with grain, as a JPEG of quality 90: decoding noise alone would cost more than a photograph does."""
    rng = np.random.default_rng(seed)
    smooth = cv2.resize(rng.integers(0, 256, (12, 16, 3)).astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(0.0, 4.0, (height, width, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8)).save(path, quality=90)


def about(source: str, number: int, pictures: tuple[str, ...]) -> Conversation:
    """A row about these pictures of a folder."""
    words = WORDS[number % len(WORDS)]
    return Conversation(
        sample_id=f"{source}/{number:07d}",
        source=source,
        task="count",
        split="train",
        scan_id=f"scene{number // 8:06d}_00",
        place_id=f"scene{number // 8:06d}",
        pictures=tuple(Picture(place=FOLDER, path=path) for path in pictures),
        turns=(Turn(question=f"{words} ({number})", answer=str(number % 9)),),
    )


def small_tokenizer() -> PreTrainedTokenizerBase:
    tokenizer = train_tokenizer([*WORDS, "0123456789 metres"], vocab_size=600)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|vision_pad|>"]}, replace_extra_special_tokens=False)
    return tokenizer


def processor(**options: object) -> SpatialVLProcessor:
    return SpatialVLProcessor(
        tokenizer=small_tokenizer(),
        **{
            "backbone": "qwen2_5_vl",
            "patch_size": 14,
            "temporal_patch_size": 2,
            "geometry_encoder": "none",
            "geometry_on": "none",
            "max_tokens": 32768,
            **options,
        },
    )


def bench_pictures(sizes: Sizes, folder: Path) -> None:
    """Files to batches of the same sizes of pixels: ours, and Pillow with transformers' own processor and chat template."""
    by = processor(image_width=sizes.shown[0], image_height=sizes.shown[1])
    area = sizes.shown[0] * sizes.shown[1]
    theirs = Qwen2VLImageProcessorPil(
        patch_size=14, merge_size=2, temporal_patch_size=2, size={"shortest_edge": area * 3 // 4, "longest_edge": area * 5 // 4}
    )
    for width, height in sizes.stored:
        names = tuple(f"{width}/{number}.jpg" for number in range(sizes.pictures))
        for number, name in enumerate(names):
            write_picture(folder / name, number, width, height)
        rows = [about("made", number, names) for number in range(sizes.questions)]

        def ours(count: int, *, as_bytes: bool = True, rows=rows) -> None:
            encoder = ConversationEncoder(by, Media(root=folder, cache=FrameCache(1)))  # nothing is kept from call to call
            pack([[share(encoder.encode_many(rows[:count]))]], by.form, as_bytes=as_bytes)

        def plain(rows=rows, names=names) -> None:
            pictures = [Image.open(folder / name).convert("RGB") for name in names]
            made = theirs(images=pictures, return_tensors="pt")
            counts = iter((made["image_grid_thw"].prod(1) // 4).tolist())
            content = [*({"type": "image"} for _ in names), {"type": "text", "text": rows[0].turns[0].question}]
            words = by.tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
            for _ in names:
                words = words.replace("<|image_pad|>", "<|seen|>" * next(counts), 1)
            by.tokenizer(words.replace("<|seen|>", "<|image_pad|>"), return_tensors="pt")

        one, many = f"ours, {sizes.pictures} of {width}x{height}, 1 question", f"ours, the same, {sizes.questions} questions"
        floats, usual = "ours, the same, 1 question, floats on the host", f"Pillow and transformers, {width}x{height}"
        cases = {
            one: (lambda: ours(1), 1),
            floats: (lambda: ours(1, as_bytes=False), 1),
            many: (lambda: ours(sizes.questions), sizes.questions),
            usual: (plain, 1),
        }
        timed = interleaved(cases, rounds=sizes.rounds)
        for case in timed.values():
            say(row(case, "question"))
        for case in (one, floats, many):
            say(ratio(timed[usual], timed[case]))


READER = """
import pickle, resource, sys, time
import numpy as np
kind, path, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
def resident():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize()
def anonymous():
    with open("/proc/self/status") as stream:
        return next(int(line.split()[1]) * 1024 for line in stream if line.startswith("RssAnon"))
from pathlib import Path
from sightline.samples.conversation_files import ConversationTable
import json
before, own, began = resident(), anonymous(), time.process_time()
if kind == "table":
    table = ConversationTable(Path(path))
    read = table.__getitem__
    rows = len(table)
else:
    with open(path, encoding="utf-8") as stream:
        kept = [json.loads(line) for line in stream]
    read, rows = kept.__getitem__, len(kept)
opened = time.process_time() - began
chosen = np.random.default_rng(0).integers(0, rows, number).tolist()
began = time.process_time()
for one in chosen:
    read(one)
spent = time.process_time() - began
print(pickle.dumps((rows, opened, spent, resident() - before, anonymous() - own)).hex())
"""


def bench_table(sizes: Sizes, folder: Path) -> Path:
    """Random rows of a large table, against all rows of a JSON-lines file in memory."""
    began = time.process_time()
    shots = tuple(f"scene/color/{number:06d}.jpg" for number in range(8))
    table = folder / "table"
    write_conversations(table, (about("large", number, (f"{number // 8}.jpg", *shots[1:])) for number in range(sizes.rows)))
    say(f"{sizes.rows:,} rows of 8 pictures written in {time.process_time() - began:.0f} s of CPU")
    lines = folder / "rows.jsonl"
    with lines.open("w", encoding="utf-8") as stream:
        for number in range(sizes.rows):
            images = [f"{number // 8}.jpg", *shots[1:]]
            talk = [{"from": "human", "value": f"{WORDS[number % 4]} ({number})"}, {"from": "gpt", "value": str(number % 9)}]
            kept = {"id": f"large/{number:07d}", "image": images, "conversations": talk, "scene": f"scene{number // 8:06d}_00"}
            stream.write(json.dumps(kept) + "\n")
    sizes_mb = [sum(one.stat().st_size for one in place) / 1e6 for place in ((table / "data").glob("*.parquet"), [lines])]
    say(f"on disk: {sizes_mb[0]:.0f} MB of Parquet, {sizes_mb[1]:.0f} MB of JSON lines")
    for kind, place, reads in (("table", table, sizes.reads), ("lines", lines, sizes.reads * 50)):
        found = []
        for _ in range(min(3, sizes.rounds)):
            done = subprocess.run([sys.executable, "-c", READER, kind, str(place), str(reads)], check=True, capture_output=True, text=True)
            found.append(pickle.loads(bytes.fromhex(done.stdout.strip())))
        rows, opened, spent, grown, own = (statistics.median(one) for one in zip(*found, strict=True))
        rates = [reads / one[2] for one in found]
        say(
            f"{kind}: {rows:,.0f} rows opened in {opened:.2f} s of CPU, {reads / spent:,.0f} random reads a CPU second "
            f"[{min(rates):,.0f} .. {max(rates):,.0f}], "
            f"resident memory grows by {grown / 1e6:.0f} MB, {own / 1e6:.0f} MB of it the process's own"
        )
    in_order = ConversationTable(table)
    chosen = np.random.default_rng(1).integers(0, len(in_order), sizes.reads).tolist()
    case = interleaved({"random reads, many at a time": (lambda: in_order.many(chosen), sizes.reads)}, rounds=sizes.rounds)
    say(row(*case.values(), "row"))
    return table


def bench_resume(sizes: Sizes, table: Path) -> None:
    """The rows of a step near the end, and of the first, by a process that has just read its plan."""
    recipe = MixtureRecipe(
        sources=(SourceRecipe(data=str(table), most_passes=1e6),), steps=RESUMED_AT + 10, sets_per_step=32, questions_per_set=8
    )
    began_cpu, began = time.process_time(), time.perf_counter()
    plan = planned(recipe)
    say(f"plan of {sizes.rows:,} rows read in {time.process_time() - began_cpu:.2f} s of CPU, {time.perf_counter() - began:.2f} s wall")

    def at(step: int) -> None:
        MixtureStream(plan).step(step)

    def places(step: int) -> None:
        plan.at(np.array(plan.positions_of(step)))

    cases = {
        "which rows: step 0": (lambda: places(0), 1),
        f"which rows: step {RESUMED_AT:,}": (lambda: places(RESUMED_AT), 1),
        "32 sets of step 0, read": (lambda: at(0), 1),
        f"32 sets of step {RESUMED_AT:,}, read": (lambda: at(RESUMED_AT), 1),
    }
    for case in interleaved(cases, rounds=max(sizes.rounds, 3)).values():
        say(row(case, "resume"))


def bench_packing(sizes: Sizes, folder: Path) -> None:
    """A made mixture of sets of 1 to 8 pictures of four shapes with 1 to 8 questions, encoded and packed as a run does."""
    by = processor(image_policy="smart", min_pixels=28**2, max_pixels=196**2)
    shapes = ((196, 140), (140, 196), (168, 168), (112, 84))
    for seed in range(16):
        write_picture(folder / "shapes" / f"{seed}.jpg", seed, *shapes[seed % 4])
    rng = np.random.default_rng(0)
    rows = []
    for group in range(200):
        names = tuple(f"shapes/{one}.jpg" for one in rng.integers(0, 16, rng.integers(1, 9)).tolist())
        names = (*names, f"shapes/{group % 16}.jpg")
        rows += [about("made", len(rows) + number, names) for number in range(int(rng.integers(1, 9)))]
    rows = [replace(one, scan_id="scene") for one in rows]
    write_conversations(folder / "made", rows)
    for budget in sizes.budgets:
        recipe = MixtureRecipe(
            sources=(SourceRecipe(data=str(folder / "made"), most_passes=1e6),),
            steps=sizes.packed_steps,
            sets_per_step=sizes.sets,
            questions_per_set=8,
            token_budget=budget,
        )
        encoders = {"made": ConversationEncoder(by, Media(root=folder))}
        for rows_per_pass in (4, 64):
            data = StreamData(MixtureStream(planned(recipe)), encoders, by, rows_per_pass=rows_per_pass)
            found = [data[step] for step in range(len(data))]
            shares = [one.useful_tokens / one.computed_tokens for one in found]
            filled = [one.useful_tokens / (budget * sum(len(portion.packed.group) for portion in one.portions)) for one in found]
            case = f"packing, {sizes.sets} sets a step, budget {budget}, {rows_per_pass} rows a pass"
            spread = f"[{min(shares):.2%} .. {max(shares):.2%}]"
            say(f"{case}: {statistics.mean(shares):.2%} useful tokens {spread}; of the budget {statistics.mean(filled):.1%} is used")


def bench_steps(sizes: Sizes, folder: Path) -> None:
    """Forward and backward pass of the small sibling of Qwen3-VL-4B over 8 questions about 4 pictures: together, and one by one."""
    tokenizer = small_tokenizer()
    config = tiny_of("qwen3vl-base", tokenizer)
    torch.manual_seed(0)
    model = SpatialVLForConditionalGeneration(config).train()
    by = SpatialVLProcessor.for_config(config, tokenizer, min_pixels=200**2, max_pixels=256**2)
    names = tuple(f"steps/{number}.jpg" for number in range(sizes.pictures))
    for number, name in enumerate(names):
        write_picture(folder / name, number, 256, 192)
    rows = [about("made", number, names) for number in range(sizes.questions)]
    samples = ConversationEncoder(by, Media(root=folder)).encode_many(rows)

    def step(groups: list) -> None:
        for group in groups:
            packed = pack([[group]], by.form, as_bytes=True)
            packed = replace(packed, inputs=packed.inputs.with_pixels(by.form.grid))
            loss, learned = model.answer_loss(**packed.for_loss(dtype=torch.float32, attention="sdpa"))
            (loss / learned).backward()
        model.zero_grad()

    together, apart = [share(samples)], [share([one]) for one in samples]
    tokens = [sum(group.tokens for group in groups) for groups in (together, apart)]
    asked = f"{sizes.questions} questions, {sizes.pictures} pictures"
    say(f"{asked}: {tokens[0]} tokens in one sequence, {tokens[1]} apart ({tokens[1] / tokens[0]:.1f}x)")
    shared, single = f"training step, K = {sizes.questions}", "training step, K = 1"
    cases = {shared: (lambda: step(together), sizes.questions), single: (lambda: step(apart), sizes.questions)}
    timed: dict[str, Timed] = interleaved(cases, rounds=sizes.rounds)
    for case in timed.values():
        say(row(case, "question"))
    say(ratio(timed[single], timed[shared]))


def main(arguments: list[str]) -> None:
    sizes = QUICK if "--quick" in arguments else Sizes()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bench_pictures(sizes, folder)
        bench_steps(sizes, folder)
        bench_packing(sizes, folder)
        bench_resume(sizes, bench_table(sizes, folder))


if __name__ == "__main__":
    main(sys.argv[1:])
