"""Typed, frozen configs: YAML recipes and dotted `key=value` overrides into pydantic dataclasses."""

import dataclasses
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import dataclass_transform

from sightline.catalog import nearest
from sightline.errors import ConfigError, UnknownNameError
from sightline.files import write_text

C = TypeVar("C")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def config(cls: type[C]) -> type[C]:
    """Class decorator: a frozen, keyword-only pydantic dataclass that forbids unknown keys."""
    return pydantic_dataclass(cls, frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))  # type: ignore[call-overload]


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if key in seen:
                raise ConfigError(f"{key_node.start_mark.name}:{key_node.start_mark.line + 1}: key '{key}' stands twice")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping safely. Raises ConfigError naming file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: expected a YAML file, found none") from error
    except OSError as error:
        raise ConfigError(f"{path}: expected a YAML file, found one that cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8 text, found byte {error.object[error.start]:#x}") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """Parse a YAML mapping. Raises ConfigError naming `where` and the line."""
    loader = _UniqueKeyLoader(text)
    loader.name = where
    try:
        value = loader.get_single_data()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{where}{line}: expected YAML, found {getattr(error, 'problem', error)}") from error
    finally:
        loader.dispose()
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected a mapping of keys, found {type(value).__name__}")
    return value


def recipe_path(name: str) -> Path:
    """A recipe file: a path as given, or a name under the packaged recipes. Raises UnknownNameError naming the nearest."""
    as_path = Path(name)
    if as_path.suffix in (".yaml", ".yml"):
        if not as_path.is_file():
            raise ConfigError(f"{as_path}: expected a recipe file, found none")
        return as_path
    root = Path(str(resources.files("sightline") / "recipes"))
    known = sorted(str(p.relative_to(root).with_suffix("")) for p in root.rglob("*.yaml"))
    if name not in known:
        raise UnknownNameError(f"no recipe called '{name}'.{nearest(name, known)} Known: {', '.join(known)}")
    return root / f"{name}.yaml"


def with_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Apply `a.b=c` overrides (values read as YAML) to a nested mapping. Raises ConfigError for a malformed one."""
    merged = _copy(values)
    for override in overrides:
        dotted, equals, text = override.partition("=")
        if not equals or not dotted:
            raise ConfigError(f"override '{override}': expected a.b=value")
        try:
            value = yaml.safe_load(text) if text else None
        except yaml.YAMLError as error:
            raise ConfigError(f"override '{override}': '{text}' is not a YAML value") from error
        place = merged
        *parents, last = dotted.split(".")
        for parent in parents:
            inner = place.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"override '{override}': '{parent}' is a value, not a group of keys")
            place = inner
        place[last] = value
    return merged


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def build(cls: type[C], values: Mapping[str, Any], *, where: str) -> C:
    """Validate a mapping into a config class. Unknown key: UnknownNameError naming the nearest known one."""
    try:
        return TypeAdapter(cls).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        raise _explain(cls, first, where) from error


def _explain(cls: type, problem: Any, where: str) -> ConfigError:
    place = [str(step) for step in problem["loc"]]
    dotted = ".".join(place)
    if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _known_keys(cls, place[:-1])
        return UnknownNameError(f"{where}: unknown key '{dotted}'.{nearest(place[-1], known)} Known: {', '.join(known)}")
    if problem["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return ConfigError(f"{where}: key '{dotted}' is missing")
    return ConfigError(f"{where}: key '{dotted}': {problem['msg']}, found {problem['input']!r}")


def _known_keys(cls: type, place: list[str]) -> list[str]:
    for step in place:
        field = {f.name: f for f in dataclasses.fields(cls)}.get(step) if dataclasses.is_dataclass(cls) else None
        if field is None or not isinstance(field.type, type):
            return []
        cls = field.type
    return sorted(f.name for f in dataclasses.fields(cls)) if dataclasses.is_dataclass(cls) else []


def load(cls: type[C], name: str, overrides: Sequence[str] = ()) -> C:
    """A recipe by name or path, with overrides, as a validated config."""
    path = recipe_path(name)
    return build(cls, with_overrides(read_yaml(path), overrides), where=str(name))


def as_mapping(value: Any) -> dict[str, Any]:
    """A config as plain JSON-able values."""
    return TypeAdapter(type(value)).dump_python(value, mode="json")


def save(value: Any, path: Path) -> None:
    """Write a config as YAML beside the output it made."""
    write_text(path, yaml.safe_dump(as_mapping(value), sort_keys=False, allow_unicode=True))
