"""Inflates LZFSE data of a known size; the bytes that its blocks promise are counted before any is inflated."""

import struct

from sightline.errors import CaptureError, MissingExtraError

END = b"bvx$"
STORED = b"bvx-"  # raw bytes follow
LZVN = b"bvxn"
COMPRESSED = b"bvx2"
_LONGEST_MATCH = 2359  # LZFSE_ENCODE_MAX_M_VALUE of Apple's reference: what one match can give at most
_SHORTEST_MATCH = 3  # encoders look for four bytes; what is left of a long match may be shorter, which 64 more allow for
_LITERALS_TO_A_MULTIPLE_OF = 4


def inflated(payload: bytes, *, num_bytes: int, where: str) -> bytes:
    """The contents of an LZFSE stream that must hold exactly `num_bytes`; data that were left as they are come back as they are.

    Raises CaptureError for damaged streams and for those that promise another size; MissingExtraError without `pyliblzfse`.
    The library would inflate whatever a stream asks for, so the headers are walked first: a stream whose blocks cannot come to
    `num_bytes`, or that holds more matches than as many bytes can, is refused.
    """
    if len(payload) == num_bytes and payload[:3] != b"bvx":
        return payload
    try:
        import liblzfse
    except ImportError as error:
        raise MissingExtraError("pyliblzfse", "record3d") from error
    found = _promised_bytes(payload, where)
    if found != num_bytes:
        raise CaptureError(f"{where}: expected {num_bytes} bytes once inflated, found a stream of {found}")
    try:
        raw = bytes(liblzfse.decompress(payload))
    except (liblzfse.error, ValueError, MemoryError) as error:
        raise CaptureError(f"{where}: expected LZFSE data, found damaged ones ({error})") from error
    if len(raw) != num_bytes:
        raise CaptureError(f"{where}: expected {num_bytes} bytes once inflated, found {len(raw)}")
    return raw


def _promised_bytes(payload: bytes, where: str) -> int:
    """The sum of what the blocks' headers promise. Raises CaptureError at the byte where they lead nowhere."""
    offset = total = 0
    while True:
        magic = payload[offset : offset + 4]
        if magic == END:
            return total
        try:
            num_bytes, length = _block(payload, offset, magic)
        except (struct.error, ValueError) as error:
            what = "an LZFSE block" if magic[:3] == b"bvx" else f"bytes {magic.hex(' ') or 'at the end'}"
            raise CaptureError(f"{where}: byte {offset}: expected an LZFSE block, found {what} ({error})") from error
        if offset + length > len(payload):
            missing = offset + length - len(payload)
            raise CaptureError(f"{where}: byte {offset}: expected an LZFSE block of {length} bytes, found {missing} of them missing")
        total += num_bytes
        offset += length


def _block(payload: bytes, offset: int, magic: bytes) -> tuple[int, int]:
    """(bytes once inflated, bytes in the stream) of the block at `offset` (layout: Apple's lzfse_internal.h)."""
    num_bytes = struct.unpack_from("<I", payload, offset + 4)[0]
    if magic == STORED:
        return num_bytes, 8 + num_bytes
    if magic == LZVN:
        return num_bytes, 12 + struct.unpack_from("<I", payload, offset + 8)[0]
    if magic != COMPRESSED:
        raise ValueError("not a kind that encoders write")
    first, second, third = struct.unpack_from("<3Q", payload, offset + 8)
    literals, literal_bytes, matches = first & 0xFFFFF, first >> 20 & 0xFFFFF, first >> 40 & 0xFFFFF
    length = (third & 0xFFFFFFFF) + literal_bytes + (second >> 40 & 0xFFFFF)
    if length < 32 or matches > num_bytes // _SHORTEST_MATCH + 64 or literals > num_bytes + _LITERALS_TO_A_MULTIPLE_OF:
        raise ValueError(f"{matches} matches and {literals} literals cannot make {num_bytes} bytes")
    if num_bytes > matches * _LONGEST_MATCH + literals:
        raise ValueError(f"{matches} matches and {literals} literals make no {num_bytes} bytes")
    return num_bytes, length
