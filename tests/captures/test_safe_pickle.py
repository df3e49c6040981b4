"""Pickled values and arrays read the same as ever; whatever else a pickle holds is refused by name and never runs."""

import os
import pickle
import pickletools
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

from sightline.captures.containers.safe_pickle import load_to, read_pickle
from sightline.errors import CaptureError

VALUES = {
    "plain": [None, True, -1, 2**80, 1.5, float("inf"), "wört", "\udc80", (1, (2, "x")), {3, 4}, b"", b"\xff\x00"],
    "keys": {1: "one", (2, "b"): [], None: {}},
    "array": np.arange(6.0).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
    "strided": np.arange(12)[::3],
    "big_endian": np.arange(3, dtype=">u2"),
    "none": np.zeros((0, 3), dtype=np.float32),
    "zero_d": np.array(7),
    "words": np.array(["ab", "c"]),
    "truth": np.array([True, False]),
    "numbers": [np.float32(1.25), np.int64(-3), np.bool_(True)],
}


def same(one, other) -> bool:
    if isinstance(other, np.ndarray):
        return isinstance(one, np.ndarray) and one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other)
    if isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in other)
    if isinstance(other, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return one == other and type(one) is type(other)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_and_arrays_read_back_the_same(tmp_path, protocol):
    path = tmp_path / "values.pkl"
    path.write_bytes(pickle.dumps(VALUES, protocol=protocol))
    assert same(read_pickle(path), VALUES)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_names_of_numpy_1_are_known(tmp_path, protocol):
    old = pickle.dumps([np.eye(2), np.float64(2.0)], protocol=protocol)
    for module in (b"multiarray", b"numeric"):
        new, name = b"numpy._core." + module, b"numpy.core." + module
        if protocol >= 4:
            old = old.replace(b"\x8c" + bytes([len(new)]) + new, b"\x8c" + bytes([len(name)]) + name)
        old = old.replace(new, name)
    if protocol >= 4:
        at = old.index(b"\x95") + 1
        old = old[:at] + struct.pack("<Q", len(old) - at - 8) + old[at + 8 :]
    assert b"numpy._core" not in old
    path = tmp_path / "old.pkl"
    path.write_bytes(old)
    assert same(read_pickle(path), [np.eye(2), np.float64(2.0)])


def test_a_value_may_start_further_on_and_hold_objects_where_asked(tmp_path):
    """As the members of an .npz of objects do."""
    path = tmp_path / "objects.npy"
    images = np.array([b"\xff\xd8one", b"\xff\xd8three"], dtype=object)
    np.save(path, images, allow_pickle=True)
    offset = path.read_bytes().index(b"\x80\x04" if b"\x80\x04" in path.read_bytes() else b"\x80", 8)
    with pytest.raises(CaptureError, match="found an array of type 'O8'; nothing of it was run"):
        read_pickle(path, offset=offset)
    assert read_pickle(path, offset=offset, object_arrays=True) == images.tolist()


def test_a_value_shared_a_thousand_times_is_one_array(tmp_path):
    path = tmp_path / "shared.pkl"
    path.write_bytes(pickle.dumps([np.eye(4)] * 1000))
    found = read_pickle(path)
    assert len(found) == 1000 and all(same(one, np.eye(4)) for one in found) and not found[0].flags.writeable


class Calls:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def text(value: str) -> bytes:
    data = value.encode()
    return b"\x8c" + bytes([len(data)]) + data


def named(module: str, name: str) -> bytes:
    """STACK_GLOBAL of protocol 4, whose name may have dots."""
    return text(module) + text(name) + b"\x93"


def calls(module: str, name: str, *arguments: str) -> bytes:
    return b"\x80\x04" + named(module, name) + b"(" + b"".join(map(text, arguments)) + b"tR."


ARRAY = named("numpy._core.multiarray", "_reconstruct") + named("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"
FLOATS = named("numpy", "dtype") + text("f8") + b"\x85R"


def hostile(canary: str) -> dict[str, bytes]:
    touch, code = f"touch {canary}", f"open({canary!r}, 'w').close()"
    wrapped = pickle.dumps([Calls(os.system, touch)])[:-1]
    return {
        "os_system": pickle.dumps(Calls(os.system, touch)),
        "posix_system": calls("posix", "system", touch),
        "protocol_0": f"cposix\nsystem\n(S'{touch}'\ntR.".encode(),
        "inst_opcode": f"(S'{touch}'\niposix\nsystem\n.".encode(),
        "obj_opcode": b"\x80\x02(cposix\nsystem\nU" + bytes([len(touch)]) + touch.encode() + b"o.",
        "builtins_eval": calls("builtins", "eval", code),
        "builtins_exec": calls("builtins", "exec", code),
        "python_2_builtins": calls("__builtin__", "eval", code),
        "builtins_getattr": calls("builtins", "getattr", "x", "upper"),
        "builtins_import": calls("builtins", "__import__", "os"),
        "dotted_builtins": calls("numpy", "size.__builtins__"),
        "dotted_reconstruct": calls("numpy._core.multiarray", "_reconstruct.__globals__"),
        "dotted_subclasses": calls("builtins", "object.__subclasses__"),
        "codecs_module": calls("_codecs", "lookup", "rot13"),
        "codecs_encode_zip": calls("_codecs", "encode", "abc", "zip"),
        "codecs_encode_idna": calls("_codecs", "encode", "a" * 200, "idna"),
        "runpy": calls("runpy", "run_path", canary),
        "subprocess": calls("subprocess", "getoutput", touch),
        "numpy_load": calls("numpy", "load", canary),
        "numpy_fromfile": calls("numpy", "fromfile", "/etc/passwd"),
        "numpy_runstring": calls("numpy.testing._private.utils", "runstring", code),
        "functools_partial": b"\x80\x04" + named("functools", "partial") + named("posix", "system") + b"\x85R.",
        "operator_attrgetter": calls("operator", "attrgetter", "system"),
        "pickle_loads": calls("pickle", "loads", "x"),
        "torch_storage": calls("torch.storage", "_load_from_bytes", "x"),
        "own_module": calls("sightline.captures.containers.safe_pickle", "subprocess.getoutput", touch),
        "own_main": calls("__main__", "_Allowed", touch),
        "object_array": pickle.dumps(np.array([Calls(os.system, touch)], dtype=object)),
        "object_array_plain": pickle.dumps(np.array([None, "x"], dtype=object)),
        "structured_array": pickle.dumps(np.zeros(2, dtype=[("a", "f8")])),
        "late_in_a_list": wrapped + b".",
        "nested_reduce": b"\x80\x04" + named("_codecs", "encode") + text("x") + text("latin1") + b"\x86R" + text(touch) + b"\x85R.",
        "chained_reduce": b"\x80\x04" + named("numpy", "dtype") + text("f8") + b"\x85R" + text("f8") + b"\x85R.",
        "array_of_own_class": b"\x80\x04" + named("numpy._core.multiarray", "_reconstruct") + text("list") + b"K\x00\x85C\x01b\x87R.",
        "new_object": b"\x80\x04" + named("numpy", "ndarray") + b")\x81.",
        "call_ndarray": b"\x80\x04" + named("numpy", "ndarray") + b")R.",
        "set_state_of_a_name": b"\x80\x04" + named("_codecs", "encode") + b"}" + text("_call") + text("x") + b"sb.",
        "set_slots_of_a_name": b"\x80\x04" + named("_codecs", "encode") + b"N}" + text("_call") + named("numpy", "dtype") + b"s\x86b.",
        "set_state_of_a_dict": b"\x80\x04}}" + text("a") + text("b") + b"sb.",
        "wrong_array_state": b"\x80\x04" + ARRAY + b"K\x01b.",
        "array_beyond_its_bytes": b"\x80\x04" + ARRAY + b"(K\x01J\x00\x00\x00\x10\x85" + FLOATS + b"\x89C\x00tb.",
        "array_of_negative_size": b"\x80\x04" + ARRAY + b"(K\x01J\xff\xff\xff\xff\x85" + FLOATS + b"\x89C\x00tb.",
        "array_never_filled": b"\x80\x04" + ARRAY + b".",
        "name_as_value": b"\x80\x04" + named("numpy", "dtype") + b".",
        "array_as_key": b"\x80\x04}" + ARRAY + b"Ns.",
        "persistent_id": b"\x80\x04" + text(touch) + b"Q.",
        "extension": b"\x80\x04\x82\x01.",
        "wide_items": b"\x80\x04" + named("numpy", "dtype") + text("S999999999") + b"\x85R.",
    }


@pytest.mark.parametrize("name", list(hostile("x")))
def test_a_hostile_file_is_refused_and_nothing_runs(tmp_path, name):
    canary = tmp_path / "canary"
    payload = hostile(str(canary))[name]
    path, place = tmp_path / "hostile.pkl", tmp_path / "place"
    path.write_bytes(payload)
    place.mkdir()
    problem = load_to(asked(path, place))
    assert problem and len(problem) < 300 and not canary.exists()
    if name in ("os_system", "dotted_builtins", "builtins_eval"):  # the same through the child
        with pytest.raises(CaptureError, match="nothing of it was run"):
            read_pickle(path)
        assert not canary.exists()


def asked(path, place) -> dict:
    num_bytes = path.stat().st_size
    return {"path": str(path), "offset": 0, "object_arrays": False, "place": str(place), "num_bytes": num_bytes, "memory_bytes": 1 << 30}


def test_the_canary_would_sing(tmp_path):
    """The payloads do what they say where nobody guards: an unguarded load of one of them runs its command."""
    canary = tmp_path / "canary"
    pickle.loads(hostile(str(canary))["posix_system"])
    assert canary.exists()


TEN_OF = [b"]\x94(" + (b"h" + bytes([place])) * 10 + b"e" for place in range(30)]  # a list of ten times the one before
LAUGHS = b"\x80\x04]\x94" + b"".join(TEN_OF) + b"."


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"\x80\x04\x8e" + struct.pack("<Q", 8 << 30) + b"abc.", "8 GB of bytes"),
        (b"\x80\x05\x96" + struct.pack("<Q", 8 << 30) + b"abc.", "8 GB of a bytearray"),
        (b"\x80\x04\x95" + struct.pack("<Q", 8 << 30) + b"N.", "a frame of 8 GB"),
        (b"\x80\x04Nr\xff\xff\xff\x7f.", "a memo of two thousand million"),
        (b"\x80\x04" + b"](" * 2_000_000 + b"." * 1, "two million lists in lists"),
        (LAUGHS, "lists of ten lists"),
        (b"\x80\x04\x8b\xff\xff\xff\x7f1.", "an integer of 2 GB"),
        (b"\x80\x04000.", "pops of nothing"),
        (b"I" + b"9" * 100_000 + b"\n.", "a number of a hundred thousand digits"),
    ],
    ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else "",
)
def test_a_file_that_claims_or_nests_too_much_ends_in_one_error(tmp_path, payload, said):
    path = tmp_path / "bomb.pkl"
    path.write_bytes(payload)
    started = time.perf_counter()
    with pytest.raises(CaptureError, match="expected pickled plain values") as caught:
        read_pickle(path)
    assert "\n" not in str(caught.value) and time.perf_counter() - started < 20.0


def test_a_file_cut_off_anywhere_is_named_as_truncated(tmp_path):
    whole = pickle.dumps(VALUES, protocol=5)
    path, place = tmp_path / "cut.pkl", tmp_path / "place"
    place.mkdir()
    for end in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:end])
        problem = load_to(asked(path, place))
        assert problem and problem.startswith("a truncated or damaged file"), (end, problem)
    with pytest.raises(CaptureError, match=r"cut\.pkl: .*found a truncated or damaged file"):
        read_pickle(path)


def test_flipped_bytes_never_reach_a_name_off_the_list(tmp_path):
    """Random damage gives a value or a refusal; the loader never fails in another way."""
    whole = bytearray(pickle.dumps({"a": np.eye(3), "b": [1, 2.5, "x", b"y"]}, protocol=4))
    rng = np.random.default_rng(0)
    path, place = tmp_path / "flipped.pkl", tmp_path / "place"
    place.mkdir()
    for _ in range(400):
        damaged = bytearray(whole)
        for at in rng.integers(len(whole), size=rng.integers(1, 4)):
            damaged[at] = rng.integers(256)
        if any(op.name in ("LONG_BINPUT", "BINBYTES8", "BYTEARRAY8", "FRAME") and (value or 0) > 1 << 24 for op, value in opcodes(damaged)):
            continue  # claims of memory are for the child
        path.write_bytes(damaged)
        problem = load_to(asked(path, place))
        assert problem is None or (problem and "\0" not in problem)


def opcodes(data: bytes) -> list:
    found = []
    try:
        for op, value, _ in pickletools.genops(bytes(data)):
            found.append((op, value if isinstance(value, int) else 0))
    except (ValueError, IndexError, OverflowError):  # damage; what was read so far is all that is asked
        pass
    return found


def test_limits_that_a_scheduler_set_are_kept(tmp_path):
    """A job with a lower limit of its own can read as well: the child asks for no more than it may have."""
    path = tmp_path / "values.pkl"
    path.write_bytes(pickle.dumps([np.eye(3)]))
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (20, 20))\n"
        "from pathlib import Path; from sightline.captures.containers.safe_pickle import read_pickle\n"
        f"assert len(read_pickle(Path({str(path)!r}))) == 1"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(CaptureError, match="found no file"):
        read_pickle(tmp_path / "gone.pkl")
    with pytest.raises(CaptureError, match="found something else"):
        read_pickle(tmp_path)
