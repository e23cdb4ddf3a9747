"""One endpoint: a model at an OpenAI-compatible address. Every way a call ends has a name and keeps its usage."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import httpx2
import openai
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models._client_utils import StreamChunkTimeoutError
from pydantic import BaseModel

from graph.model.providers import ServedRoute
from refunds.vocabulary import ModelOutcome

READ_SECONDS = 15.0
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


class Endpoint:
    """A model at an address. Opened once a process: its connections belong to one event loop."""

    def __init__(self, served: ServedRoute) -> None:
        self.served = served
        self.name = served.route.endpoint
        model, api_key, base_url = served.route.model, served.api_key, served.provider.base_url
        self._http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=CONNECTIONS),
            trust_env=False,
            follow_redirects=False,
        )
        self._chat = ChatOpenAI(
            model=model,
            base_url=base_url,
            api_key=api_key,
            max_retries=0,
            timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
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
                self.served.provider.limit_field: question.max_tokens,
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
        except openai.RateLimitError as error:
            spent = error.code == "insufficient_quota"
            return seen.failed("quota_exhausted" if spent else "rate_limited", _retry_after(error))
        except (openai.AuthenticationError, openai.PermissionDeniedError):
            return seen.failed("unauthorized")
        except openai.InternalServerError as error:
            return seen.failed("server_error", _retry_after(error))
        except openai.APIStatusError as error:
            return seen.failed("server_error" if error.status_code >= 500 else "bad_request")
        except openai.APIConnectionError:
            return seen.failed("cut_stream" if seen.text else "unreachable")
        except openai.APIError:
            return seen.failed("server_error")
        except (httpx2.HTTPError, OSError):
            return seen.failed("cut_stream" if seen.text else "unreachable")
        except UnicodeDecodeError:
            return seen.failed("malformed")
        except (AttributeError, TypeError, ValueError, KeyError, IndexError):
            # What came is no completion at all: a gateway's page, or JSON of another shape.
            return seen.failed("not_an_answer")


class Seen:
    """What of an answer has come."""

    def __init__(self) -> None:
        self.text = ""
        self.finish: str | None = None
        self.refusal = False
        self.tools = False
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
        self.tools = self.tools or bool(getattr(message, "tool_calls", None))
        if message.usage_metadata is not None:
            self.usage = dict(message.usage_metadata)

    def answer(self) -> ModelAnswer:
        """How it ended, where the call itself did not fail."""
        if self.too_long:
            return self.failed("too_long")
        if self.refusal:
            return self.failed("refused")
        match self.finish:
            case "content_filter":
                return self.failed("filtered")
            case "length":
                return self.failed("cut_off")
            case "stop" | "tool_calls" | "function_call":
                pass
            case None:
                # A stream that was cut ends like one that is whole, but for the reason to stop.
                return self.failed("cut_stream" if self.text or self.chunks else "not_an_answer")
            case _:
                return self.failed("not_an_answer")
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


def _retry_after(error: openai.APIStatusError) -> float | None:
    """The seconds in Retry-After, where it says seconds."""
    said = error.response.headers.get("retry-after", "")
    try:
        seconds = float(said)
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
