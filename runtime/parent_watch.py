"""The parent watch: a process ends, as if it had been told to, when the one that started it is gone."""

import asyncio
import os
import signal
from collections.abc import Mapping

VARIABLE = "COUNTERSIGN_HELD_BY"
"""The process id of the holder; absent where a process stands on its own."""

LOOK_SECONDS = 1.0


async def held(environment: Mapping[str, str], stop: asyncio.Event) -> None:
    """Wait until told to stop; where the holder goes first, end this process by SIGTERM."""
    holder = environment.get(VARIABLE)
    while not stop.is_set():
        if holder and not _alive(int(holder)):
            os.kill(os.getpid(), signal.SIGTERM)
            return
        try:
            await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
        except TimeoutError:
            continue


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
