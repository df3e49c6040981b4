"""Doing one key: run the function, write its done-file, and say what came of it; in a spawned process, or any other."""

import errno
import importlib
import logging
import signal
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from sightline.errors import SightlineError
from sightline.execution.records import record_done

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a worker needs to know of a job, once; small enough to send anywhere."""

    function: str  # module:name
    arguments: Mapping[str, Any]
    record_dir: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came of one try: `done` with the result; else `text` is the traceback.

    `refused` is a user's mistake and not tried again, `broke` is anything else, `full` a disk without space.
    """

    word: Literal["done", "refused", "broke", "full"]
    result: Any = None
    text: str = ""


def function_path(function: Any) -> str:
    """`module:name` of a module-level function, so that a worker can import it."""
    path = f"{function.__module__}:{function.__qualname__}"
    if "<" in path or "." in function.__qualname__:
        raise ValueError(f"expected a module-level function, found {path}")
    return path


def function_at(path: str) -> Any:
    """The inverse of `function_path`."""
    module_name, _, name = path.partition(":")
    return getattr(importlib.import_module(module_name), name)


def serve(connection: Connection, task: Task) -> None:
    """Loop of a worker; ends when the pipe closes. Where the parent was killed, the key in hand is still finished and recorded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    while True:
        try:
            key, made_from = connection.recv()
        except EOFError:
            return
        answer = attempt(task, key, made_from=made_from)
        try:
            connection.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return


def attempt(task: Task, key: str, *, made_from: str) -> Answer:
    """Run the function on one key and write its done-file. The done-file comes last: without it the key counts as not begun."""
    try:
        result = function_at(task.function)(key, **task.arguments)
        return Answer(word="done", result=record_done(task.record_dir, key, made_from=made_from, result=result))
    except Exception as error:  # noqa: BLE001 - quarantined with its traceback, counted, and raised by require_all
        word = "full" if _is_no_space(error) else "refused" if isinstance(error, SightlineError) else "broke"
        return Answer(word=word, text=traceback.format_exc())


def _is_no_space(error: BaseException | None) -> bool:
    """Whether the error, or one that it came from, says that the disk is full (or the quota, or the largest file)."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            return True
        error = error.__cause__ or error.__context__
    return False
