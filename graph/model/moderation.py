"""Moderation: the last look at words that may go out. By rule; by the provider's endpoint where that is asked for."""

import asyncio
import re
from typing import Protocol

import httpx2
import openai

from graph.model.providers import ServedRoute

SECONDS = 5.0

_UNFIT: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        (
            "abuse",
            r"\b(?:idiots?|stupid|moron|shut up|go to hell|scum|damn you|f[u*]ck\w*|sh[i*]t\w*|bastards?)\b",
        ),
        ("a threat", r"\b(?:or else|you will regret|we will (?:sue|report|find) you)\b"),
        ("legal advice", r"\b(?:you should sue|legally entitled to sue|contact (?:a|your) lawyer)\b"),
        ("a promise", r"\b(?:we guarantee|i promise|we promise|lifetime refund|no questions asked)\b"),
        ("speaks as a machine", r"\b(?:as an ai|language model|system prompt|my instructions)\b"),
    )
)


class Moderator(Protocol):
    """Says in a word what is wrong with a text; None where nothing is."""

    async def wrong_with(self, text: str) -> str | None: ...


class ByRule:
    """A short list: what no reply of a shop says."""

    async def wrong_with(self, text: str) -> str | None:
        return next((name for name, pattern in _UNFIT if pattern.search(text)), None)


class ByEndpoint:
    """The rule, then the provider's own moderation. What cannot be asked is not passed."""

    def __init__(self, served: ServedRoute, model: str) -> None:
        self._http = httpx2.AsyncClient(timeout=SECONDS, trust_env=False, follow_redirects=False)
        self._client = openai.AsyncOpenAI(
            base_url=served.provider.base_url,
            api_key=served.api_key.get_secret_value(),
            max_retries=0,
            timeout=SECONDS,
            http_client=self._http,
        )
        self._model = model
        self._rule = ByRule()

    async def wrong_with(self, text: str) -> str | None:
        by_rule = await self._rule.wrong_with(text)
        if by_rule is not None:
            return by_rule
        try:
            async with asyncio.timeout(SECONDS):
                answer = await self._client.moderations.create(model=self._model, input=text)
            flagged = any(result.flagged for result in answer.results)
        except (openai.OpenAIError, TimeoutError, AttributeError, TypeError, ValueError):
            return "it could not be moderated"
        return "the provider's moderation" if flagged else None

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()
