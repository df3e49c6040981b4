"""What is wrong with the rows of a source: every bad row named and counted, none replaced, and a share that decides when it is fatal."""

import hashlib
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sightline.errors import ConfigError, DataError
from sightline.mixtures.registry import SplitFiles, scene_lists
from sightline.mixtures.source import ARKITSCENES, PROBLEMS, SCANNET, SCANNETPP, BadRow
from sightline.samples.conversation import Conversation
from sightline.samples.media import Media

NAMED_FIRST = 5  # bad rows of a kind that a report names; all of them stand in the file of problems
SHORTEST_QUESTION = 12  # letters: "Is it red?" may well stand in an answer, a whole question is a sign of turns that slipped
_SPACE = re.compile(r"\s+")


@dataclass(kw_only=True, slots=True)
class Report:
    """Counts of one source. It grows while rows go by."""

    rows: int = 0  # conversations and rows that gave none
    bad_rows: int = 0
    pictures: int = 0
    turns: int = 0
    answer_characters: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    allowed: Counter[str] = field(default_factory=Counter)  # of kinds that the user lets pass
    examples: dict[str, list[str]] = field(default_factory=dict)
    tasks: Counter[str] = field(default_factory=Counter)

    @property
    def kept(self) -> int:
        return self.rows - self.bad_rows

    @property
    def bad_share(self) -> float:
        return self.bad_rows / self.rows if self.rows else 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain values, to be written and read back."""
        return {
            "rows": self.rows,
            "bad_rows": self.bad_rows,
            "pictures": self.pictures,
            "turns": self.turns,
            "answer_characters": self.answer_characters,
            "kinds": dict(sorted(self.kinds.items())),
            "allowed": dict(sorted(self.allowed.items())),
            "examples": {kind: list(lines) for kind, lines in sorted(self.examples.items())},
            "tasks": dict(sorted(self.tasks.items())),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Report":
        counters = {name: Counter(values[name]) for name in ("kinds", "allowed", "tasks")}
        return cls(**{**values, **counters, "examples": {kind: list(lines) for kind, lines in values["examples"].items()}})

    def lines(self) -> list[str]:
        """A table for people."""
        out = [f"{self.rows} rows, {self.kept} good, {self.bad_rows} bad; {self.turns} answers, {self.pictures} pictures"]
        for kind in PROBLEMS:
            if count := self.kinds[kind] + self.allowed[kind]:
                out.append(f"  {count:>8}  {kind}: {PROBLEMS[kind]}" + (" (allowed)" if self.allowed[kind] else ""))
                out += [f"            {line}" for line in self.examples[kind]]
        return out


def named(problem: BadRow) -> str:
    """File, line and field of a bad row, and what is wrong with it."""
    return f"{problem.found_at}{f', {problem.field}' if problem.field else ''}: {problem.message}"


class Checker:
    """Looks at one conversation after the other. `media` finds missing pictures; without it they are not looked for."""

    def __init__(self, split: SplitFiles | None = None, *, media: Media | None = None, allow: Sequence[str] = ()):
        """Raises ConfigError for a kind to allow that there is not."""
        for kind in allow:
            if kind not in PROBLEMS:
                raise ConfigError(f"--allow: expected kinds of {', '.join(PROBLEMS)}, found '{kind}'")
        self.media = media
        self.allow = frozenset(allow)
        lists = scene_lists() if split is not None else {}
        self.inside = frozenset().union(*(lists[name] for name in split.scenes_in)) if split is not None and split.scenes_in else None
        self.outside = frozenset().union(*(lists[name] for name in split.scenes_not_in)) if split is not None else frozenset()
        self.lists = split
        self._seen = SeenIds()

    def good(self, stream: Iterator[Conversation | BadRow], report: Report, problems: list[BadRow] | None = None) -> Iterator[Conversation]:
        """The good ones, while `report` counts them all and `problems` gets every bad one, where it is given."""
        for one in stream:
            found = [one] if isinstance(one, BadRow) else self.problems(one)
            report.rows += 1
            fatal = [problem for problem in found if problem.kind not in self.allow]
            for problem in found:
                (report.allowed if problem.kind in self.allow else report.kinds)[problem.kind] += 1
                lines = report.examples.setdefault(problem.kind, [])
                if len(lines) < NAMED_FIRST:
                    lines.append(named(problem))
            if problems is not None:
                problems += found
            if fatal or isinstance(one, BadRow):
                report.bad_rows += 1
                continue
            report.pictures += len(one.pictures)
            report.turns += len(one.turns)
            report.answer_characters += sum(len(turn.answer) for turn in one.turns)
            report.tasks[one.task] += 1
            yield one

    def seen(self, sample_ids: Iterator[str]) -> None:
        """Ids of rows that an earlier run has looked at."""
        for sample_id in sample_ids:
            self._seen.add(sample_id)

    def problems(self, row: Conversation) -> list[BadRow]:
        """Everything that is wrong with one conversation."""
        found: list[BadRow] = []

        def say(kind: str, where: str, message: str) -> None:
            where_found = row.found_at or row.sample_id
            found.append(BadRow(found_at=where_found, field=where, kind=kind, message=message, sample_id=row.sample_id))

        if not self._seen.add(row.sample_id):
            say("duplicate_id", "id", f"expected an id of its own, found '{row.sample_id}' again")
        for number, turn in enumerate(row.turns):
            if not turn.answer.strip():
                say("empty_answer", f"turn {number + 1}", "expected an answer, found none")
            if not turn.question.strip() and not row.pictures and not row.scan_id:
                say("empty_question", f"turn {number + 1}", "expected a question, found none")
            if (
                len(turn.question) >= SHORTEST_QUESTION
                and len(turn.answer) >= len(turn.question) // 2
                and _holds(turn.answer, turn.question)
            ):
                say("answer_holds_question", f"turn {number + 1}", f"expected an answer alone, found the question in '{turn.answer[:80]}'")
        for picture in row.pictures:
            if picture.scan_id and row.scan_id and picture.scan_id != row.scan_id:
                say("scene_mismatch", "pictures", f"expected a picture of {row.scan_id}, found {picture.path}")
            if self.media is not None and not self.media.is_there(picture):
                say("missing_picture", "pictures", f"expected {picture.path} in the media root, found none")
        if row.scan_id and (message := self._outside(row.scan_id)):
            say("outside_split", "scene", message)
        return found

    def _outside(self, scan_id: str) -> str:
        room = SCANNET.fullmatch(scan_id)
        if not (room or SCANNETPP.fullmatch(scan_id) or ARKITSCENES.fullmatch(scan_id)):
            return ""  # a scan of another data set: the lists do not speak of it
        token = room[1] if room else scan_id
        if self.inside is not None and token not in self.inside:
            return f"expected a scene of {', '.join(self.lists.scenes_in)}, found {scan_id}"
        if token in self.outside:
            return f"expected no scene of {', '.join(self.lists.scenes_not_in)}, found {scan_id}"
        return ""


def require(report: Report, *, max_bad_share: float, fix: str = "") -> None:
    """Raise DataError where more rows are bad than may be, or none is good."""
    if not 0.0 <= max_bad_share <= 1.0:
        raise ConfigError(f"--max-bad-share: expected 0 to 1, found {max_bad_share}")
    if not report.rows:
        raise DataError("expected at least one row, found none")
    if report.bad_share > max_bad_share:
        worst = ", ".join(f"{count} {kind}" for kind, count in report.kinds.most_common(4))
        first = next((lines[0] for kind, lines in report.examples.items() if report.kinds[kind]), "")
        raise DataError(
            f"{report.bad_rows} of {report.rows} rows are bad ({report.bad_share:.2%}, at most {max_bad_share:.2%} may be): {worst}. "
            f"The first: {first}. {fix or 'Fix: correct them, or say --max-bad-share SHARE or --allow KIND'}"
        )
    if not report.kept:
        raise DataError(f"expected at least one good row, found none of {report.rows}")


def _holds(answer: str, question: str) -> bool:
    if len(question) < SHORTEST_QUESTION or 2 * len(answer) < len(question):
        return False
    return _plain(question) in _plain(answer)


def _plain(text: str) -> str:
    return _SPACE.sub(" ", text).strip().casefold()


class SeenIds:
    """A set of ids that takes eight bytes each, sixteen while it is half empty: 64 bits of a hash, open addressing.

    Two different ids are taken for one in one of 10^5 sets of 10^7 ids (birthday bound).
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, sample_id: str) -> bool:
        """Whether it was new."""
        if 2 * self._count >= len(self._slots):
            self._grow()
        key = int.from_bytes(hashlib.blake2b(sample_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1
        if not self._put(key):
            return False
        self._count += 1
        return True

    def _put(self, key: int) -> bool:
        slots, mask = self._slots, len(self._slots) - 1
        place = key & mask
        while slots[place]:
            if slots[place] == key:
                return False
            place = (place + 1) & mask
        slots[place] = key
        return True

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", bytes(8 * 2 * len(old)))
        for key in old:
            if key:
                self._put(key)
