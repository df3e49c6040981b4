"""One spawned worker process: takes keys from a pipe, runs the function, sends the result or the traceback back."""

import importlib
import logging
import signal
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from sightline.errors import SightlineError


def function_path(function: Any) -> str:
    """`module:name` of a module-level function, so that a worker can import it."""
    path = f"{function.__module__}:{function.__qualname__}"
    if "<" in path or "." in function.__qualname__:
        raise ValueError(f"expected a module-level function, found {path}")
    return path


def serve(connection: Connection, path: str, arguments: Mapping[str, Any]) -> None:
    """Loop of a worker; ends when the pipe closes or `None` arrives."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    module_name, _, name = path.partition(":")
    function = getattr(importlib.import_module(module_name), name)
    while True:
        try:
            key = connection.recv()
        except EOFError:
            return
        if key is None:
            return
        connection.send(attempt(function, key, arguments))


def attempt(function: Any, key: str, arguments: Mapping[str, Any]) -> tuple[str, Any]:
    """`("done", result)`, `("refused", traceback)` for a user's mistake, `("broke", traceback)` for anything else."""
    try:
        return "done", function(key, **arguments)
    except SightlineError:
        return "refused", traceback.format_exc()
    except Exception:  # noqa: BLE001 - quarantined with its traceback, counted, and raised by require_all
        return "broke", traceback.format_exc()
