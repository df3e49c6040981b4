"""The turns of a conversation as they are asked: where each picture stands among the words."""

from collections.abc import Sequence

from sightline.errors import DataError
from sightline.models.prompts import Asked
from sightline.samples.conversation import Turn


def asked_turns(turns: Sequence[Turn], *, pictures: int, has_eyes: bool, as_clip: bool, is_open: bool, where: str) -> tuple[Asked, ...]:
    """Each turn in pieces. `pictures` stand where the turns place them, or before the first words; a model without eyes reads the words
    alone, and one that sees frames of one clip has it in one place. `is_open` leaves out the last answer.

    Raises DataError where there are no turns, or pictures and places do not match.
    """
    if not turns:
        raise DataError(f"{where}: expected at least one turn, found none")
    offsets = _offsets(turns, pictures, where)
    if as_clip and pictures:
        offsets = _of_clip(turns, offsets, where)
    return tuple(
        Asked(
            pieces=_pieces(turn.question, places) if has_eyes else (turn.question,),
            answer=None if is_open and number == len(turns) - 1 else turn.answer,
        )
        for number, (turn, places) in enumerate(zip(turns, offsets, strict=True))
    )


def _offsets(turns: Sequence[Turn], pictures: int, where: str) -> list[tuple[int, ...]]:
    """Places of pictures in each turn; those that no turn places come before the words of the first."""
    placed = [tuple(turn.picture_offsets) for turn in turns]
    left = pictures - sum(len(places) for places in placed)
    if left and (left < 0 or placed[0]):
        raise DataError(f"{where}: expected {sum(len(places) for places in placed)} pictures, as the turns place them, found {pictures}")
    return [(0,) * left, *placed[1:]] if left else placed


def _of_clip(turns: Sequence[Turn], offsets: list[tuple[int, ...]], where: str) -> list[tuple[int, ...]]:
    """One place for all frames: where the first stands, if no word comes between them."""
    shown = [number for number, places in enumerate(offsets) if places]
    first, last = offsets[shown[0]][0], offsets[shown[-1]][-1]
    if len(shown) > 1 or turns[shown[0]].question[first:last].strip():
        raise DataError(
            f"{where}: expected all pictures in one place, since the model sees them as frames of one clip, found words between them. "
            "Fix: leave the source out, or train a model with views_per_step 1"
        )
    return [(first,) if number == shown[0] else () for number in range(len(turns))]


def _pieces(question: str, offsets: Sequence[int]) -> tuple[str | None, ...]:
    pieces: list[str | None] = []
    at = 0
    for offset in offsets:
        if offset > at:
            pieces.append(question[at:offset])
            at = offset
        pieces.append(None)
    return (*pieces, question[at:])
