"""Text files of others: UTF-8, of a bounded size, refused by name where they are not that."""

from pathlib import Path

from sightline.errors import CaptureError
from sightline.files import BYTE_ORDER_MARK, NO_MARK

MAX_TEXT_BYTES = 256_000_000  # a trajectory of a million poses has 200 MB


def read_text(path: Path, *, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text of a file. Raises CaptureError: missing, too large, not UTF-8 (naming the byte)."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= max_bytes else None
    except OSError as error:
        raise CaptureError(f"{path}: expected a text file, found one that cannot be read ({error})") from error
    if content is None:
        raise CaptureError(f"{path}: expected a text of at most {max_bytes} bytes, found {size}")
    return decoded(content, str(path))


def decoded(content: bytes, where: str) -> str:
    """Bytes as UTF-8. Raises CaptureError naming the byte, also where editors on Windows put a byte order mark first."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CaptureError(f"{where}: expected UTF-8, found byte {error.object[error.start]:#x} at offset {error.start}") from error
    if text.startswith(BYTE_ORDER_MARK):
        raise CaptureError(f"{where}: {NO_MARK}")
    return text
