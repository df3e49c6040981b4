"""JSON objects out of the bytes of a file or an archive's member, refused by name where they are not that."""

from typing import Any

from sightline.captures.texts import decoded
from sightline.errors import CaptureError, DataError
from sightline.files import parse_json


def json_object(content: bytes, where: str, *, expected: str) -> dict[str, Any]:
    """The object that UTF-8 JSON holds. Raises CaptureError naming `where` and the `expected` keys."""
    try:
        value = parse_json(decoded(content, where), where)
    except DataError as error:
        raise CaptureError(str(error)) from error
    if not isinstance(value, dict):
        raise CaptureError(f"{where}: expected an object with {expected}, found {type(value).__name__}")
    return value
