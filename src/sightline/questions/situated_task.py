"""What the situated tasks share: situations drawn at random among objects that are shown together, and their wording."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.facts.fact import FactTable
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Introduced, Shown
from sightline.questions.situated_stance import KINDS, STANCE_MARGINS, WORDINGS, Floor, Stance, bearing_deg

TRIED_PER_QUESTION = 15  # situations looked at: in most of them something is in the way, or what is asked for is near a border


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Case:
    """A situation, what is asked of it, and the frames that show all that the answer rests on."""

    stance: Stance
    targets: tuple[int, ...]  # object ids, the described two not among them
    side: str  # of SIDES, or "" where none is asked for
    value: float | str
    frames: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """A question's sentence, its number among the task's, and the answer it wants; `listing` follows it."""

    text: str
    index: int
    answer: Answer
    listing: str = ""


class SituatedTask:
    """One scan's floor and clear views, and how a case becomes a question."""

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views", "free_space"))
    MARGINS: ClassVar[Mapping[str, float]] = STANCE_MARGINS

    @staticmethod
    def stances(floor: Floor, shown: Shown, rng: np.random.Generator, options: TaskOptions) -> Iterator[Stance | str]:
        """Different situations at random, or why there is none; both objects are shown together and may be named."""
        seen: set[tuple] = set()
        for rows, _ in zip(shown.groups(rng=rng), range(TRIED_PER_QUESTION * options.max_per_scan)):
            beside, towards = (shown.object_ids[row] for row in rng.permutation(rows)[:2]) if len(rows) > 1 else (None, None)
            kind = KINDS[rng.integers(len(KINDS))]
            if beside is not None and (kind, beside, towards) not in seen:
                seen.add((kind, beside, towards))
                yield floor.stance(kind, beside, towards)

    def question(
        self,
        case: Case,
        asking: Asking,
        *,
        named: Introduced,
        floor: Floor,
        facts: FactTable,
        rng: np.random.Generator,
        evidence: Mapping[str, float | str],
    ) -> Question:
        """The situation in words, then what is asked."""
        situation, number = case.stance.situation(named.names, rng)
        return Question(
            task=self.name,
            scan_id=facts.scan_id,
            frame_ids=tuple(facts.frames.frame_ids[frame] for frame in case.frames),
            text=" ".join(filter(None, (_capital(situation), asking.text, asking.listing))),
            answer=asking.answer,
            template_id=f"{self.name}.{asking.index * WORDINGS + number}",
            evidence={"situation": case.stance.kind, **evidence, "place_error_m": floor.margins["place_error_m"]},
            marks=named.marks,
            object_ids=(case.stance.beside, case.stance.towards, *case.targets),
        )

    def skip(self, facts: FactTable, reason: str) -> Skip:
        """A counted drop."""
        return Skip(task=self.name, scan_id=facts.scan_id, reason=reason)


def target_bearing_deg(case: Case, floor: Floor) -> float:
    """Degrees from straight ahead to the first target's middle, left positive."""
    return bearing_deg(case.stance, floor.objects[case.targets[0]].box.centre_world[:2])


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
