"""Inflates zlib streams whose size is known, compiled and bounded: in half the time of zlib, and zlib itself where anything is odd."""

import zlib

import numba
import numpy as np

_U = np.uint64
_0, _1, _2, _3, _4, _8, _9, _12, _15, _16, _63 = (_U(number) for number in (0, 1, 2, 3, 4, 8, 9, 12, 15, 16, 63))
_FAST_LITERAL, _FAST_DISTANCE = 11, 9  # bits looked up at once; longer codes are rare by construction
_MASK_LITERAL, _MASK_DISTANCE = _U((1 << _FAST_LITERAL) - 1), _U((1 << _FAST_DISTANCE) - 1)
_FULL = _U(56)
_PAD = 32  # bytes after the stream that a refill may touch
_SPOILT = 16  # bytes after the wanted ones that a copy may touch
_MAX_CODE = 15

# What a symbol means, as one number: bits 0-3 length of its code (0: no such code), 4-8 extra bits, 9-10 kind, 12 and up the value.
_LITERAL, _COPY, _END, _NONE = _U(0), _U(1), _U(2), _U(3)


def _meanings() -> tuple[np.ndarray, np.ndarray]:
    """Of the 288 literal and length symbols and the 32 distance symbols (RFC 1951, 3.2.5), without the code length."""
    literal = np.full(288, int(_NONE) << 9, dtype=np.uint64)
    literal[:256] = np.arange(256) << 12
    literal[256] = int(_END) << 9
    base = 3
    for symbol in range(257, 285):
        extra = max(0, (symbol - 261) // 4)
        literal[symbol] = extra << 4 | int(_COPY) << 9 | base << 12
        base += 1 << extra
    literal[285] = int(_COPY) << 9 | 258 << 12
    distance = np.full(32, int(_NONE) << 9, dtype=np.uint64)
    base = 1
    for symbol in range(30):
        extra = max(0, symbol // 2 - 1)
        distance[symbol] = extra << 4 | int(_COPY) << 9 | base << 12
        base += 1 << extra
    return literal, distance


_LITERAL_MEANING, _DISTANCE_MEANING = _meanings()
_CODE_MEANING = np.arange(19, dtype=np.uint64) << 12
_CODE_ORDER = np.array([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15])
_FIXED = np.concatenate([np.full(144, 8), np.full(112, 9), np.full(24, 7), np.full(8, 8)]).astype(np.int64)


def inflated(payload: bytes, size: int) -> np.ndarray | None:
    """`(size,)` uint8 that a zlib stream holds; None where it is damaged or holds another number of bytes. Never allocates much more."""
    stream = np.empty(len(payload) + _PAD, dtype=np.uint8)
    stream[: len(payload)] = np.frombuffer(payload, dtype=np.uint8)
    stream[len(payload) :] = 0
    head = int(stream[0]) << 8 | int(stream[1])
    if stream[0] & 15 == 8 and head % 31 == 0 and not stream[1] & 32:  # deflate, header whole, no dictionary
        out = np.empty(size + _SPOILT, dtype=np.uint8)
        end = _inflate(stream, len(payload), out)
        out = out[:size]
        if 0 < end <= len(payload) - 4 and int.from_bytes(payload[end : end + 4], "big") == zlib.adler32(out):
            return out
    return _inflated_by_zlib(payload, size)


def _inflated_by_zlib(payload: bytes, size: int) -> np.ndarray | None:
    inflating = zlib.decompressobj()
    try:
        found = inflating.decompress(payload, size + 1)  # one more than wanted shows a stream that holds more, and no bomb goes off
    except zlib.error:
        return None
    return np.frombuffer(found, dtype=np.uint8) if inflating.eof and len(found) == size else None


@numba.njit(cache=True, nogil=True)
def _word(buffer, place):
    """Eight bytes, least first; the compiler makes one load of them."""
    return (
        _U(buffer[place])
        | _U(buffer[place + _1]) << _8
        | _U(buffer[place + _2]) << _16
        | _U(buffer[place + _3]) << _U(24)
        | _U(buffer[place + _4]) << _U(32)
        | _U(buffer[place + _U(5)]) << _U(40)
        | _U(buffer[place + _U(6)]) << _U(48)
        | _U(buffer[place + _U(7)]) << _FULL
    )


@numba.njit(cache=True, nogil=True)
def _put_word(buffer, place, word):
    """Write eight bytes, least first; one store."""
    buffer[place] = np.uint8(word)
    buffer[place + _1] = np.uint8(word >> _8)
    buffer[place + _2] = np.uint8(word >> _16)
    buffer[place + _3] = np.uint8(word >> _U(24))
    buffer[place + _4] = np.uint8(word >> _U(32))
    buffer[place + _U(5)] = np.uint8(word >> _U(40))
    buffer[place + _U(6)] = np.uint8(word >> _U(48))
    buffer[place + _U(7)] = np.uint8(word >> _FULL)


@numba.njit(cache=True, nogil=True)
def _refilled(stream, bits, count, place):
    """At least 56 bits in the buffer; `place` moves by the whole bytes that were taken up."""
    return bits | _word(stream, place) << count, count | _FULL, place + ((_63 - count) >> _3)


@numba.njit(cache=True, nogil=True)
def _repeat(out, at, distance, after):
    """Copy what stands `distance` bytes back until `after`, eight bytes at a time; up to seven bytes behind `after` are spoilt."""
    behind = at - distance
    if distance >= _8:
        while at < after:
            _put_word(out, at, _word(out, behind))
            at, behind = at + _8, behind + _8
    elif distance == _1 or distance == _2 or distance == _4:  # the same values again and again, as blank depth is
        word = _word(out, behind)
        if distance == _1:
            word = (word & _U(0xFF)) * _U(0x0101010101010101)
        elif distance == _2:
            word = (word & _U(0xFFFF)) * _U(0x0001000100010001)
        else:
            word = (word & _U(0xFFFFFFFF)) * _U(0x0000000100000001)
        while at < after:
            _put_word(out, at, word)
            at += _8
    else:
        while at < after:
            out[at] = out[behind]
            at, behind = at + _1, behind + _1


@numba.njit(cache=True, nogil=True)
def _built(lengths, meaning, fast_bits, table, counts, symbols):
    """Fill the look-up table and the canonical order of a code; False for one that cannot be."""
    counts[:] = 0
    for length in lengths:
        counts[length] += 1
    counts[0] = 0
    left = 1
    starts = np.zeros(_MAX_CODE + 2, dtype=np.int64)
    codes = np.zeros(_MAX_CODE + 2, dtype=np.int64)
    for length in range(1, _MAX_CODE + 1):
        left = left * 2 - counts[length]
        if left < 0:
            return False
        starts[length + 1] = starts[length] + counts[length]
        codes[length + 1] = (codes[length] + counts[length]) << 1
    table[:] = _0
    for symbol in range(len(lengths)):
        length = lengths[symbol]
        if length == 0:
            continue
        symbols[starts[length]] = symbol
        starts[length] += 1
        code = codes[length]
        codes[length] += 1
        if length <= fast_bits:
            turned = 0
            for _ in range(length):
                turned = turned << 1 | code & 1
                code >>= 1
            for index in range(turned, 1 << fast_bits, 1 << length):
                table[index] = meaning[symbol] | _U(length)
    return True


@numba.njit(cache=True, nogil=True)
def _long_code(bits, meaning, counts, symbols):
    """The meaning of a code that is longer than the table's, bit by bit; 0 where there is none."""
    code, first, index = 0, 0, 0
    for length in range(1, _MAX_CODE + 1):
        code |= np.int64(bits & _1)
        bits >>= _1
        if code - counts[length] < first:
            return meaning[symbols[index + code - first]] | _U(length)
        index += counts[length]
        first = (first + counts[length]) << 1
        code <<= 1
    return _0


@numba.njit(cache=True, nogil=True)
def _inflate(stream, num_bytes, out):
    """Inflate into `out` but for its last `_SPOILT` bytes; the byte after the last block, -1 where damaged or not of that size."""
    literal_table, distance_table = np.zeros(1 << _FAST_LITERAL, np.uint64), np.zeros(1 << _FAST_DISTANCE, np.uint64)
    literal_counts, distance_counts = np.zeros(_MAX_CODE + 1, np.int64), np.zeros(_MAX_CODE + 1, np.int64)
    literal_symbols, distance_symbols = np.zeros(288, np.int64), np.zeros(32, np.int64)
    lengths, code_lengths = np.zeros(320, np.int64), np.zeros(19, np.int64)
    bits, count, place, at, size, last = _0, _0, _2, _0, _U(len(out) - _SPOILT), _U(num_bytes + 8)
    final = False
    while not final:
        if place > last:
            return -1
        bits, count, place = _refilled(stream, bits, count, place)
        final, kind = bits & _1 == _1, bits >> _1 & _3
        bits, count = bits >> _3, count - _3
        if kind == _0:
            place -= count >> _3  # back to the byte after the one begun
            bits, count = _0, _0
            if place + _4 > _U(num_bytes):
                return -1
            amount = _U(stream[place]) | _U(stream[place + _1]) << _8
            if amount ^ _U(0xFFFF) != _U(stream[place + _2]) | _U(stream[place + _3]) << _8:
                return -1
            place += _4
            if place + amount > _U(num_bytes) or at + amount > size:
                return -1
            out[at : at + amount] = stream[place : place + amount]
            at, place = at + amount, place + amount
            continue
        if kind == _3:
            return -1
        if kind == _1:
            lengths[:288] = _FIXED
            lengths[288:] = 5
            num_literals, num_distances = 288, 30
        else:
            num_literals, num_distances = np.int64(bits & _U(31)) + 257, np.int64(bits >> _U(5) & _U(31)) + 1
            num_codes = np.int64(bits >> _U(10) & _15) + 4
            bits, count = bits >> _U(14), count - _U(14)
            if num_literals > 286 or num_distances > 30:
                return -1
            code_lengths[:] = 0
            for index in range(num_codes):
                if count < _3:
                    bits, count, place = _refilled(stream, bits, count, place)
                code_lengths[_CODE_ORDER[index]] = np.int64(bits & _U(7))
                bits, count = bits >> _3, count - _3
            if not _built(code_lengths, _CODE_MEANING, _FAST_LITERAL, literal_table, literal_counts, literal_symbols):
                return -1
            index, wanted = 0, num_literals + num_distances
            while index < wanted:
                if place > last:
                    return -1
                bits, count, place = _refilled(stream, bits, count, place)
                entry = literal_table[bits & _MASK_LITERAL]
                if entry == _0:
                    return -1
                bits, count, symbol = bits >> (entry & _15), count - (entry & _15), np.int64(entry >> _12)
                if symbol < 16:
                    lengths[index] = symbol
                    index += 1
                    continue
                value, extra, repeat = 0, _2, 3
                if symbol == 16:
                    if index == 0:
                        return -1
                    value = lengths[index - 1]
                elif symbol == 17:
                    extra = _3
                else:
                    extra, repeat = _U(7), 11
                repeat += np.int64(bits & ((_1 << extra) - _1))
                bits, count = bits >> extra, count - extra
                if index + repeat > wanted:
                    return -1
                lengths[index : index + repeat] = value
                index += repeat
        whole = _built(lengths[:num_literals], _LITERAL_MEANING, _FAST_LITERAL, literal_table, literal_counts, literal_symbols)
        rest = lengths[num_literals : num_literals + num_distances]
        if not whole or not _built(rest, _DISTANCE_MEANING, _FAST_DISTANCE, distance_table, distance_counts, distance_symbols):
            return -1
        while True:
            if place > last:
                return -1
            bits, count, place = _refilled(stream, bits, count, place)
            entry = literal_table[bits & _MASK_LITERAL]
            if entry != _0 and entry >> _9 & _3 == _LITERAL and at < size:  # up to three literals to a refill: at most 33 bits
                out[at] = entry >> _12
                at, bits, count = at + _1, bits >> (entry & _15), count - (entry & _15)
                entry = literal_table[bits & _MASK_LITERAL]
                if entry != _0 and entry >> _9 & _3 == _LITERAL and at < size:
                    out[at] = entry >> _12
                    at, bits, count = at + _1, bits >> (entry & _15), count - (entry & _15)
                    entry = literal_table[bits & _MASK_LITERAL]
                bits, count, place = _refilled(stream, bits, count, place)
            if entry == _0:
                entry = _long_code(bits, _LITERAL_MEANING, literal_counts, literal_symbols)
                if entry == _0:
                    return -1
            bits, count = bits >> (entry & _15), count - (entry & _15)
            kind = entry >> _9 & _3
            if kind == _LITERAL:
                if at >= size:
                    return -1
                out[at] = entry >> _12
                at += _1
                continue
            if kind == _END:
                break
            if kind == _NONE:
                return -1
            extra = entry >> _4 & _U(31)
            length = (entry >> _12) + (bits & ((_1 << extra) - _1))
            bits, count = bits >> extra, count - extra
            entry = distance_table[bits & _MASK_DISTANCE]
            if entry == _0:
                entry = _long_code(bits, _DISTANCE_MEANING, distance_counts, distance_symbols)
            if entry == _0 or entry >> _9 & _3 != _COPY:
                return -1
            bits, count = bits >> (entry & _15), count - (entry & _15)
            extra = entry >> _4 & _U(31)
            distance = (entry >> _12) + (bits & ((_1 << extra) - _1))
            bits, count = bits >> extra, count - extra
            if distance > at or at + length > size:
                return -1
            _repeat(out, at, distance, at + length)
            at += length
    if at != size:
        return -1
    return np.int64(place - (count >> _3))
