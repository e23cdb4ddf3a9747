"""Streams of a thread: they have no end of their own, so each ends after a while and its client comes back.

Who comes back is asked for their token again: one that was revoked reads for a minute more at most.
"""

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from refunds.canonical import sha256

OPEN_SECONDS = 60.0
OF_ONE_TOKEN = 20
"""Streams at a time; a page has a few."""

_ENDLESS = re.compile(r"^/threads/[^/]+/(?:stream|stream/events)$")


class TooManyStreams(Exception):
    """As many as one token may have."""

    def __init__(self) -> None:
        super().__init__(f"{OF_ONE_TOKEN} streams are open with this token: close one")


@dataclass
class ThreadStreams:
    """Those that are open in this process, by token."""

    open: Counter[str] = field(default_factory=Counter)
    seconds: float = OPEN_SECONDS

    @staticmethod
    def is_one(path: str) -> bool:
        """Whether a path answers with a stream that has no end."""
        return _ENDLESS.match(path) is not None

    async def run(self, token: str, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a stream for a bounded time. Raises TooManyStreams before anything is sent."""
        name = sha256(token)
        if self.open[name] >= OF_ONE_TOKEN:
            raise TooManyStreams
        began = ended = False

        async def told(message: Message) -> None:
            nonlocal began, ended
            began = began or message["type"] == "http.response.start"
            ended = ended or (message["type"] == "http.response.body" and not message.get("more_body"))
            await send(message)

        self.open[name] += 1
        try:
            async with asyncio.timeout(self.seconds):
                await app(scope, receive, told)
        except TimeoutError:
            if began and not ended:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self.open[name] -= 1
            self.open += Counter()  # tokens with none leave
