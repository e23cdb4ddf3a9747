"""What every process of the house does in the same way: log, stop on a signal, say in one line why it cannot start."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from pydantic import ValidationError

from runtime.logs import log_to_standard_error


def stop_signal() -> asyncio.Event:
    """Set when the process is told to stop, by SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    return stop


def keep_what_was_loaded() -> None:
    """Leave what a process has loaded to start out of later collections: to go over it stops the loop for 60 ms."""
    gc.collect()
    gc.freeze()


def run_process(
    name: str, run: Callable[[], Coroutine[Any, Any, None]], known: tuple[type[Exception], ...]
) -> int:
    """Run to the end; 0 done, 1 refused or failed with the reason on standard error.

    `known` are the errors that a person can do something about; anything else is a defect and shows itself.
    """
    log_to_standard_error(name, plain=os.environ.get("COUNTERSIGN_LOGS") == "plain")
    keep_what_was_loaded()
    try:
        asyncio.run(run())
    except ValidationError as error:
        return _failed(name, wrong_settings(name, error))
    except known as error:
        return _failed(name, str(error))
    return 0


def wrong_settings(name: str, error: ValidationError) -> str:
    """Which settings of a process are missing or wrong, by the names of the environment."""
    fields = (str(item["loc"][0]).upper() for item in error.errors(include_input=False))
    return f"missing or wrong settings: {', '.join(f'{name.upper()}_{field}' for field in fields)}"


def _failed(name: str, why: str) -> int:
    sys.stderr.write(f"{name}: {why}\n")
    return 1
