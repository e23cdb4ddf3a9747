"""One endpoint: a model at an OpenAI-compatible address. Every way a call ends has a name and keeps its usage."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx2
import openai
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models._client_utils import StreamChunkTimeoutError
from pydantic import BaseModel

from graph.model.answer_text import has_object
from graph.model.providers import ServedRoute
from refunds.vocabulary import ModelOutcome

CONNECT_SECONDS = 3.0
TEXT_LIMIT = 24_000
"""Characters of an answer; what says more is not read to its end."""

CONNECTIONS = 32
USAGE_MOST = 100_000_000
"""Who says that a call took more has not counted."""

TRANSIENT: frozenset[ModelOutcome] = frozenset(
    {"rate_limited", "server_error", "unreachable", "timed_out", "stalled", "cut_stream", "not_an_answer"}
)
"""What may pass by itself, and is tried again."""

ELSEWHERE: frozenset[ModelOutcome] = TRANSIENT | {"quota_exhausted", "unauthorized", "bad_request"}
"""What another endpoint may not suffer from."""

WHOLE = frozenset(
    {"stop", "tool_calls", "function_call", "eos", "eos_token", "end_turn", "stop_sequence", "completed"}
)
CUT = frozenset({"length", "max_tokens", "model_length", "max_output_tokens"})
FILTERED = frozenset({"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii"})
"""Why an answer ended, as servers of several makes say it. What says anything else is whole if it reads as whole."""

NO_QUOTA = ("insufficient_quota", "billing", "credit", "payment_required", "exceeded_current_quota")
"""What stands in the code or the type of an error where more money is wanted and waiting does not help."""

Words = Callable[[str], Awaitable[None]]
"""Told the text so far, as it comes."""


@dataclass(frozen=True, slots=True)
class ModelQuestion:
    """What a model is asked: what it is told about its work, what it works on, and the form of the answer."""

    system: str
    data: str
    form: type[BaseModel]
    max_tokens: int

    def schema(self) -> dict[str, Any]:
        """The form as the strict schema that a provider constrains an answer by."""
        return {
            "type": "json_schema",
            "json_schema": {
                "name": self.form.__name__,
                "strict": True,
                "schema": self.form.model_json_schema(),
            },
        }

    @property
    def most_tokens(self) -> int:
        """More than the call can cost: no tokenizer makes more tokens than there are bytes."""
        asked = len(self.system.encode()) + len(self.data.encode()) + len(json.dumps(self.schema()))
        return asked + self.max_tokens


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """How a call ended. `text` is what came, whether or not it is of any use."""

    outcome: ModelOutcome
    text: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int = 0
    retry_after: float | None = None
    """Seconds that the provider asks for."""


class Chat(ChatOpenAI):
    """The library's client, for servers that give the arguments of a call as an object and not as its text."""

    def _create_chat_result(
        self, response: dict[str, Any] | openai.BaseModel, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        for choice in getattr(response, "choices", None) or ():
            for call in getattr(getattr(choice, "message", None), "tool_calls", None) or ():
                function: Any = getattr(call, "function", None)
                if isinstance(getattr(function, "arguments", None), dict):
                    function.arguments = json.dumps(function.arguments)
        return super()._create_chat_result(response, generation_info)


class Endpoint:
    """A model at an address. Opened once a process: its connections belong to one event loop."""

    def __init__(self, served: ServedRoute) -> None:
        self.served = served
        self.name = served.route.endpoint
        model, api_key, base_url = served.route.model, served.api_key, served.provider.base_url
        # A server that thinks before it says a word is silent for as long as the whole call may take.
        patience = httpx2.Timeout(served.provider.seconds, connect=CONNECT_SECONDS)
        self._http = httpx2.AsyncClient(
            timeout=patience,
            limits=httpx2.Limits(max_connections=CONNECTIONS),
            trust_env=False,
            follow_redirects=False,
        )
        self._chat = Chat(
            model=model,
            base_url=base_url,
            api_key=api_key,
            max_retries=0,
            timeout=patience,
            stream_chunk_timeout=served.provider.stall_seconds,
            use_responses_api=False,
            stream_usage=True,
            http_async_client=self._http,
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def ask(self, question: ModelQuestion, seconds: float, words: Words | None = None) -> ModelAnswer:
        """One call, at most so long; with `words` as a stream. Raises nothing that a provider can cause."""
        messages = [SystemMessage(question.system), HumanMessage(question.data)]
        # Through extra_body: a response format that the library knows of would parse, and lose usage where it cannot.
        chat = self._chat.bind(
            extra_body={
                "response_format": question.schema(),
                self.served.provider.limit_field: min(
                    question.max_tokens, self.served.provider.answer_tokens or question.max_tokens
                ),
                **self.served.provider.options,
            }
        )
        seen = Seen()
        try:
            async with asyncio.timeout(seconds):
                if words is None:
                    seen.take(await chat.ainvoke(messages))
                else:
                    # Closed here and now: what is left to the garbage collector is closed in the middle of something.
                    async with aclosing(cast("AsyncGenerator[AIMessage]", chat.astream(messages))) as stream:
                        async for chunk in stream:
                            seen.take(chunk)
                            if seen.too_long:
                                break
                            await words(seen.text)
            return seen.answer()
        except (TimeoutError, openai.APITimeoutError):
            # Before anything came the provider is slow; after it, it has stalled.
            return seen.failed("stalled" if seen.text else "timed_out")
        except StreamChunkTimeoutError:
            return seen.failed("stalled")
        except openai.APIStatusError as error:
            outcome = outcome_of(error.status_code, error.code, error.type)
            return seen.failed(outcome, retry_after(error.response.headers))
        except openai.APIConnectionError:
            return seen.failed("cut_stream" if seen.text else "unreachable")
        except openai.APIError as error:
            return seen.failed(outcome_of(500, error.code, error.type))
        except (httpx2.HTTPError, OSError):
            return seen.failed("cut_stream" if seen.text else "unreachable")
        except UnicodeDecodeError:
            return seen.failed("malformed")
        except (AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
            # What came is no completion: a gateway's page, JSON of another shape, or an error in an answer's place.
            said = error.args[0] if error.args else None
            if isinstance(said, dict):
                return seen.failed(outcome_of(_status(said), said.get("code"), said.get("type")))
            return seen.failed("not_an_answer")


class Seen:
    """What of an answer has come."""

    def __init__(self) -> None:
        self.text = ""
        self.finish: str | None = None
        self.refusal = False
        self.tools = False
        self.called: object = None
        """What a server put into the arguments of a call where a text was asked for."""

        self.chunks = 0
        self.usage: dict[str, Any] | None = None

    @property
    def too_long(self) -> bool:
        return len(self.text) > TEXT_LIMIT

    def take(self, message: AIMessage | AIMessageChunk) -> None:
        self.chunks += 1
        self.text += message.text
        self.finish = message.response_metadata.get("finish_reason") or self.finish
        self.refusal = self.refusal or bool(message.additional_kwargs.get("refusal"))
        calls = getattr(message, "tool_calls", None) or []
        self.tools = self.tools or bool(calls)
        self.called = self.called or (calls[0].get("args") if len(calls) == 1 else None)
        if message.usage_metadata is not None:
            self.usage = dict(message.usage_metadata)

    def answer(self) -> ModelAnswer:
        """How it ended, where the call itself did not fail."""
        if self.too_long:
            return self.failed("too_long")
        if self.refusal:
            return self.failed("refused")
        finish = (self.finish or "").lower()
        if finish in FILTERED:
            return self.failed("filtered")
        if finish in CUT:
            return self.failed("cut_off")
        if not self.text.strip() and isinstance(self.called, dict) and self.called:
            self.text = json.dumps(self.called)
        if finish not in WHOLE and not has_object(self.text):
            # A stream that was cut ends like one that is whole, but for the reason to stop; some servers tell none.
            cut = not finish and bool(self.text or self.chunks)
            return self.failed("cut_stream" if cut else "not_an_answer")
        if not self.text.strip():
            return self.failed("wrong_schema" if self.tools else "empty")
        return self.failed("answered")

    def failed(self, outcome: ModelOutcome, retry_after: float | None = None) -> ModelAnswer:
        """The answer as far as it came, with whatever usage was told."""
        said = self.usage or {}
        used = {name: said.get(name) for name in ("input_tokens", "output_tokens")}
        counted = all(isinstance(value, int) and 0 <= value <= USAGE_MOST for value in used.values())
        # No call costs nothing: a provider that says so has not counted.
        told = counted and sum(value or 0 for value in used.values()) > 0
        details = said.get("input_token_details") or {}
        cached = details.get("cache_read") if isinstance(details, dict) else None
        return ModelAnswer(
            outcome=outcome,
            text=self.text[:TEXT_LIMIT],
            input_tokens=used["input_tokens"] if told else None,
            output_tokens=used["output_tokens"] if told else None,
            cached_tokens=cached if isinstance(cached, int) and cached >= 0 else 0,
            retry_after=retry_after,
        )


def outcome_of(status: int, code: object, kind: object) -> ModelOutcome:
    """How a call ended that a server answered with an error, by its status and what it calls the error."""
    named = f"{code} {kind}".lower()
    if status == 402 or any(word in named for word in NO_QUOTA):
        return "quota_exhausted"
    if status in {401, 403} or "invalid_api_key" in named or "authentication" in named:
        return "unauthorized"
    if status == 429 or "rate_limit" in named or "too_many_requests" in named:
        return "rate_limited"
    # A server that was too slow, and two that ask to come again.
    if status in {408, 409, 425} or status >= 500:
        return "timed_out" if status == 408 else "server_error"
    return "bad_request"


def _status(said: dict[str, object]) -> int:
    """The status in the body of an error that came with 200; a server's own fault where it gives none."""
    for name in ("status", "status_code", "code"):
        value = said.get(name)
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return 500


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds for which a server asks to wait: in milliseconds, in seconds, or until a moment of its own clock."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / scale
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        until = parsedate_to_datetime(headers.get("retry-after", ""))
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return None
