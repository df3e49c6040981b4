"""Written tables `name -> "module:Attribute"`, loaded on use."""

import difflib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from sightline.errors import UnknownNameError

T = TypeVar("T")


def nearest(name: str, known: list[str]) -> str:
    """`" Did you mean 'x'?"` for the closest known name, or an empty string."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""


class Catalog(Mapping[str, T], Generic[T]):
    """A read-only table of parts. `catalog[name]` imports the part; `"module:Attribute"` works without registration."""

    def __init__(self, kind: str, entries: dict[str, str]):
        self.kind = kind
        self.entries = dict(entries)

    def __getitem__(self, name: str) -> T:
        target = self.entries.get(name, name if ":" in name else None)
        if target is None:
            raise UnknownNameError(
                f"no {self.kind} called '{name}'.{nearest(name, list(self.entries))} Known: {', '.join(sorted(self.entries))}"
            )
        module_name, _, attribute = target.partition(":")
        try:
            part: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
                raise UnknownNameError(f"{self.kind} '{name}': no module called '{module_name}'") from error
            raise
        for step in attribute.split("."):
            if not hasattr(part, step):
                raise UnknownNameError(f"{self.kind} '{name}': module '{module_name}' has no attribute '{attribute}'")
            part = getattr(part, step)
        return part

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)
