"""The server's own queue looks for runs twice a second; here it is told when there is one.

A person who answers waits for it, and half a second is most of what the answer takes.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID

from langgraph_runtime.ops import Runs

from graph.server.thread_rows import expect_no_run

LOOK_AGAIN_SECONDS = 0.5
"""As the server itself: a run that stood behind another one of its thread is found so."""


def wake_at_once() -> None:
    """From now on the queue of this process starts a run when it is put in, and not up to half a second later."""
    put, following = Runs.put, Runs.next
    there_is_one = asyncio.Event()

    async def told_put(*args: Any, **said: Any) -> Any:  # noqa: ANN401  (the server's own shapes)
        try:
            runs = await put(*args, **said)
            there_is_one.set()
            return runs
        finally:
            if said.get("thread_id"):
                expect_no_run(UUID(str(said["thread_id"])))

    async def told_next(*, wait: bool, limit: int = 1) -> AsyncIterator[Any]:
        if wait:
            with suppress(TimeoutError):
                await asyncio.wait_for(there_is_one.wait(), LOOK_AGAIN_SECONDS)
        there_is_one.clear()
        async for found in following(wait=False, limit=limit):
            yield found

    Runs.put, Runs.next = staticmethod(told_put), staticmethod(told_next)
