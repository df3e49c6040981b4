"""The contract of an answer: how it is asked for, decoded, parsed and scored, in one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from sightline.catalog import Catalog
from sightline.quick import quickly_made


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """`score` in 0..1 and the reason in words; an unparsable reply scores 0 and is counted apart."""

    score: float
    is_parsed: bool
    parsed: Any
    explanation: str


class AnswerFormat(Protocol):
    """One kind of answer. Frozen dataclasses; `to_row` and `from_row` carry them through Parquet."""

    kind: ClassVar[str]

    def instruction(self) -> str:
        """The sentence that follows the question and says how to reply."""
        ...

    def json_schema(self) -> Mapping[str, Any]:
        """The schema a constrained decoder holds the reply to."""
        ...

    def render(self, value: Any) -> str:
        """The reply text of a value; `parse(render(x))` equals x to within the rendered precision."""
        ...

    def parse(self, reply: str) -> Any | None:
        """The value in a reply, or None where there is none."""
        ...

    def score(self, reply: str, truth: Any) -> Score:
        """A reply against the true value."""
        ...

    def to_row(self) -> dict[str, Any]:
        """JSON-able options of the format, `kind` left out."""
        ...


@quickly_made
@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A format and the true value. `text` is what a perfect model replies."""

    format: AnswerFormat
    value: Any  # float for numbers, option letter for choices, str for words and text, else a tuple of floats

    @property
    def text(self) -> str:
        return self.format.render(self.value)


ANSWER_FORMATS: Catalog[type[AnswerFormat]] = Catalog(
    "answer format",
    {
        "number": "sightline.answers.number:Number",
        "choice": "sightline.answers.choice:Choice",
        "text": "sightline.answers.text:Text",
        "word": "sightline.answers.word:Word",
        "point": "sightline.answers.point:Point",
        "vector": "sightline.answers.vector:Vector",
        "box": "sightline.answers.box:Box",
        "box3d": "sightline.answers.box3d:Box3d",
        "image_set": "sightline.answers.image_set:ImageSet",
    },
)


def format_from_row(kind: str, options: Mapping[str, Any]) -> AnswerFormat:
    """The format that `to_row` described."""
    return ANSWER_FORMATS[kind](**options)
