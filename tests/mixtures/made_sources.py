"""Small imported sources for the tests of mixtures: conversations about made-up pictures."""

from collections.abc import Mapping
from pathlib import Path

from sightline.samples.conversation import FOLDER, Conversation, Picture, Turn
from sightline.samples.conversation_files import write_conversations


def conversation(source: str, number: int, *, sets: int, task: str = "count", split: str = "train") -> Conversation:
    """Question `number`, about one of `sets` sets of two pictures."""
    shown = number % sets
    pictures = tuple(Picture(place=FOLDER, path=f"{source}/{shown}/{view}.jpg") for view in range(2))
    return Conversation(
        sample_id=f"{source}/{number}",
        source=source,
        task=task,
        split=split,
        scan_id=f"{source}_{shown}",
        place_id=f"{source}_{shown}",
        pictures=pictures,
        turns=(Turn(question=f"How many chairs are there, number {number}?", answer=str(number % 7)),),
    )


def write_source(folder: Path, name: str, *, rows: int, sets: int, tasks: Mapping[str, int] | None = None) -> Path:
    """A source of so many rows; `tasks` name how many rows each has in turn, or all are of one."""
    names = [task for task, count in (tasks or {"count": rows}).items() for _ in range(count)]
    write_conversations(folder / name, (conversation(name, number, sets=sets, task=names[number]) for number in range(rows)))
    return folder / name
