"""The leak guard: what a planned mixture shares with benchmarks, by room, by the content of pictures, and by question and answer."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sightline.catalog import nearest
from sightline.errors import DataError, UnknownNameError
from sightline.mixtures.asked import Asked, asked_by
from sightline.mixtures.importing import manifest_of
from sightline.mixtures.near_questions import Duplicates, duplicates_of, mixed_keys
from sightline.mixtures.picture_hashes import PictureHashes, content_of
from sightline.mixtures.plan import Plan
from sightline.samples.benchmark_guard import NAMED_FIRST, benchmark_ids, room_tokens
from sightline.samples.conversation_files import DATA_FOLDER, ConversationTable


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedRoom:
    """A room of training rows that benchmarks ask about."""

    room: str
    rows: int
    sources: tuple[str, ...]
    benchmarks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedThing:
    """A picture or a question that stands in training and in a benchmark: its path or id there and here."""

    found: str
    source: str
    same_as: str
    benchmark: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LeakReport:
    """What was compared with what, and what is shared."""

    evaluates_on: tuple[str, ...]
    rows: int
    rooms: tuple[SharedRoom, ...]  # of benchmarks that the recipe evaluates on
    other_rooms: tuple[SharedRoom, ...]  # of benchmarks that it does not name
    held_out: Mapping[str, str]  # source -> why nothing of it may be trained on
    pictures: tuple[SharedThing, ...]
    picture_counts: Mapping[str, int]  # of training pictures: compared, or why not
    benchmark_picture_counts: Mapping[str, int]
    questions: Mapping[str, int]  # benchmark -> training questions that stand in it with their answers
    question_examples: tuple[SharedThing, ...]
    duplicates: Duplicates = field(default_factory=Duplicates)

    @property
    def has_leaks(self) -> bool:
        return bool(self.rooms or self.held_out or self.pictures or self.questions)

    def leaks(self) -> list[str]:
        """One line for each kind of leak: how many, the first five, of which benchmarks."""
        said = [f"{source} is {why}" for source, why in self.held_out.items()]
        if self.rooms:
            said.append(_rooms_said(self.rooms, self.rows))
        if self.pictures:
            benchmarks = ", ".join(sorted({one.benchmark for one in self.pictures}))
            same = _first([f"{one.found} = {one.same_as}" for one in self.pictures], len(self.pictures))
            said.append(f"pictures that stand in {benchmarks} too: {len(self.pictures):,} ({same})")
        if self.questions:
            count = sum(self.questions.values())
            same = _first([f"{one.found} = {one.same_as}" for one in self.question_examples], count)
            said.append(f"questions that stand in {', '.join(self.questions)} too, with their answers: {count:,} ({same})")
        return said

    def warnings(self) -> list[str]:
        """Rooms of benchmarks that the recipe does not name."""
        if not self.other_rooms:
            return []
        return [f"{_rooms_said(self.other_rooms, self.rows)}: evaluates_on does not name them, so they are let pass"]


def leaks_of(plan: Plan, *, root: Path = Path(), hashes: PictureHashes | None = None, near: bool = True) -> LeakReport:
    """Compare all taken rows of a plan with the benchmarks of its recipe.

    `evaluates_on` holds names of the packaged lists of rooms, and folders of imported benchmarks (below `root`), whose pictures and
    questions are compared too. `hashes` reads pictures that lie in no scene store; `near` looks for nearly equal questions. Raises
    UnknownNameError for a benchmark that is neither.
    """
    named, folders = _benchmarks(plan.recipe.evaluates_on, root)
    sources = [asked_by(one.recipe.label, one.table, one.units.rows) for one in plan.sources]
    asked = [asked_by(name, ConversationTable(folder)) for name, folder in folders.items()]
    stores = sorted({root / one.recipe.scenes for one in plan.sources if one.recipe.scenes})
    media = [root / one.recipe.media if one.recipe.media else _media_of(one.table.folder) for one in plan.sources]
    ids_of = {name: benchmark_ids()[name] for name in named} | {one.name: _room_names(one) for one in asked}
    try:
        pictures, counts, benchmark_counts = _shared_pictures(
            list(zip(sources, media)), [(one, _media_of(folders[one.name])) for one in asked], stores, hashes
        )
    finally:
        if hashes is not None:
            hashes.keep()
    questions, examples = _shared_questions(sources, asked)
    return LeakReport(
        evaluates_on=tuple(plan.recipe.evaluates_on),
        rows=sum(one.num_rows for one in sources),
        rooms=_shared_rooms(sources, ids_of),
        other_rooms=_shared_rooms(sources, {name: ids for name, ids in benchmark_ids().items() if name not in named}),
        held_out=_held_out(plan),
        pictures=pictures,
        picture_counts=counts,
        benchmark_picture_counts=benchmark_counts,
        questions=questions,
        question_examples=tuple(examples),
        duplicates=duplicates_of(sources, asked) if near else Duplicates(),
    )


def refuse_leaks(report: LeakReport, *, allow: bool) -> list[str]:
    """Raise DataError where a benchmark would be trained on; with `allow`, return what was forced, to be said aloud."""
    said = report.leaks()
    if said and not allow:
        raise DataError(
            f"mixture: {'; '.join(said)}. Fix: import the source again without these rooms (scenes_not_in of its entry, with "
            "--max-bad-share), or allow_leaks: true to train on them knowingly"
        )
    return [f"forced by allow_leaks: {one}" for one in said]


def _benchmarks(wanted: Sequence[str], root: Path) -> tuple[list[str], dict[str, Path]]:
    """Names of packaged lists, and folders of conversations by the name given."""
    known, named, folders = list(benchmark_ids()), [], {}
    for name in wanted:
        if name in known:
            named.append(name)
        elif (root / name / DATA_FOLDER).is_dir() or (root / name).is_file():
            folders[name] = root / name
        else:
            raise UnknownNameError(
                f"mixture: evaluates_on: no benchmark called '{name}', and no folder of imported conversations there."
                f"{nearest(name, known)} Known: {', '.join(known)}"
            )
    return named, folders


def _room_names(asked: Asked) -> frozenset[str]:
    """Every name of every room that is asked about."""
    return frozenset(name for names in asked.rooms for name in (*names, *room_tokens(*names)) if name)


def _shared_rooms(sources: Iterable[Asked], ids_of: Mapping[str, frozenset[str]]) -> tuple[SharedRoom, ...]:
    rows: Counter[str] = Counter()
    found: dict[str, tuple[set[str], set[str]]] = {}
    for source in sources:
        for names, count in source.rooms.items():
            tokens = room_tokens(*names)
            keys = {name for name in names if name} | tokens
            benchmarks = {name for name, ids in ids_of.items() if keys & ids}
            if benchmarks:
                room = names[1] or min(tokens, default="") or names[0] or names[2]
                rows[room] += count
                of_sources, of_benchmarks = found.setdefault(room, (set(), set()))
                of_sources.add(source.name)
                of_benchmarks |= benchmarks
    return tuple(
        SharedRoom(room=room, rows=rows[room], sources=tuple(sorted(found[room][0])), benchmarks=tuple(sorted(found[room][1])))
        for room in sorted(found)
    )


def _shared_pictures(
    sources: Sequence[tuple[Asked, Path | None]],
    benchmarks: Sequence[tuple[Asked, Path | None]],
    stores: Sequence[Path],
    hashes: PictureHashes | None,
) -> tuple[tuple[SharedThing, ...], Counter[str], Counter[str]]:
    counts: Counter[str] = Counter()
    benchmark_counts: Counter[str] = Counter()
    theirs: dict[str, tuple[str, str]] = {}
    for asked, media in benchmarks:
        content, counted = content_of(asked.pictures, media=media, stores=stores, hashes=hashes)
        theirs |= {digest: (path, asked.name) for digest, path in content.items()}
        benchmark_counts += counted
    found = []
    for asked, media in sources if benchmarks else ():  # a benchmark known by its rooms alone has no pictures to compare with
        content, counted = content_of(asked.pictures, media=media, stores=stores, hashes=hashes)
        counts += counted
        found += [
            SharedThing(found=content[digest], source=asked.name, same_as=theirs[digest][0], benchmark=theirs[digest][1])
            for digest in sorted(set(content) & set(theirs), key=content.__getitem__)
        ]
    return tuple(found), counts, benchmark_counts


def _shared_questions(sources: Sequence[Asked], benchmarks: Sequence[Asked]) -> tuple[Mapping[str, int], list[SharedThing]]:
    """Questions of training whose words and answer stand in a benchmark about the same room, or about pictures of the same paths."""
    counts: Counter[str] = Counter()
    examples: list[SharedThing] = []
    for benchmark in benchmarks:
        of_room, of_pictures = _triples(benchmark)
        for source in sources:
            by_room, by_pictures = _triples(source)
            is_shared = np.isin(by_room, of_room) | ((source.shown != 0) & np.isin(by_pictures, of_pictures))
            counts[benchmark.name] += int(is_shared.sum())
            for one in np.flatnonzero(is_shared)[: NAMED_FIRST - len(examples)].tolist():
                same = int(np.flatnonzero((of_room == by_room[one]) | ((source.shown[one] != 0) & (of_pictures == by_pictures[one])))[0])
                examples.append(
                    SharedThing(found=source.id_of(one), source=source.name, same_as=benchmark.id_of(same), benchmark=benchmark.name)
                )
    return dict(+counts), examples


def _triples(asked: Asked) -> tuple[np.ndarray, np.ndarray]:
    text = asked.text_hash[asked.text]
    return mixed_keys(asked.where, text, asked.answer), mixed_keys(asked.shown, text, asked.answer)


def _held_out(plan: Plan) -> dict[str, str]:
    found = {}
    for source in plan.sources:
        manifest = manifest_of(source.table.folder) if source.table.folder.is_dir() else None
        if manifest is not None and manifest.get("is_benchmark"):
            found[f"source '{source.recipe.label}'"] = f"split '{manifest['split']}' of {manifest['source']}, a benchmark"
    return found


def _media_of(folder: Path) -> Path | None:
    manifest = manifest_of(folder) if folder.is_dir() else None
    return Path(manifest["media_root"]) if manifest is not None and manifest.get("media_root") else None


def _rooms_said(rooms: Sequence[SharedRoom], rows: int) -> str:
    benchmarks = ", ".join(sorted({name for one in rooms for name in one.benchmarks}))
    sources = ", ".join(sorted({name for one in rooms for name in one.sources}))
    count = sum(one.rows for one in rooms)
    first = _first([one.room for one in rooms], len(rooms))
    return f"rooms of {benchmarks}: {len(rooms):,}, with {count:,} of {rows:,} rows, in {sources} ({first})"


def _first(names: Sequence[str], count: int) -> str:
    more = count - min(NAMED_FIRST, len(names))
    return ", ".join(names[:NAMED_FIRST]) + (f" and {more:,} more" if more else "")
