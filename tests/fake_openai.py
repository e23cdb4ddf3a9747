"""A server that speaks the OpenAI protocol and misbehaves: over real HTTP, in as many ways as providers do."""

import asyncio
import gc
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

Answerer = Callable[[dict[str, Any]], str]
"""What a well-behaved model answers to a request, as the text of its message."""

USAGE = {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150}


@dataclass
class FakeOpenAI:
    """The server, with what it was asked and how it is to behave."""

    answer: Answerer
    port: int = 0
    behaviours: dict[str, list[str]] = field(default_factory=dict)
    """How it behaves for each feature ("plan", "draft"), one word a call; the last for ever. `ok` where none is named."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=lambda: dict(USAGE))
    slow_seconds: float = 0.0
    folder: Path = Path()
    flagged: bool = False
    in_flight: int = 0
    most_in_flight: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def billed(self) -> int:
        """Calls for which a completion was begun."""
        return len(self.asked)

    def feature(self, body: dict[str, Any]) -> str:
        name = body.get("response_format", {}).get("json_schema", {}).get("name", "")
        return {"Plan": "plan", "Reply": "draft"}.get(name, "other")

    def _behaviour(self, feature: str) -> str:
        queue = self.behaviours.get(feature) or ["ok"]
        return queue.pop(0) if len(queue) > 1 else queue[0]

    async def chat(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.asked.append(body)
        feature = self.feature(body)
        by_model = f"{feature}:{body['model']}"
        how = self._behaviour(by_model if by_model in self.behaviours else feature)
        streamed = bool(body.get("stream"))
        match how:
            case "500" | "503":
                return JSONResponse({"error": {"message": "oh no", "type": "server_error"}}, int(how))
            case "429":
                return _error(429, "rate_limit_exceeded", {"retry-after": "0.2"})
            case "429-long":
                return _error(429, "rate_limit_exceeded", {"retry-after": "120"})
            case "429-silly":
                return _error(429, "rate_limit_exceeded", {"retry-after": "tomorrow"})
            case "429-inf":
                return _error(429, "rate_limit_exceeded", {"retry-after": "inf"})
            case "429-ms":
                return _error(429, "rate_limit_exceeded", {"retry-after-ms": "50", "retry-after": "99"})
            case "429-date":
                at = {"date": "Mon, 30 Nov 2026 10:00:00 GMT", "retry-after": "Mon, 30 Nov 2026 10:00:00 GMT"}
                return _error(429, "rate_limit_exceeded", at)
            case "429-date-far":
                at = {"date": "Mon, 30 Nov 2026 10:00:00 GMT", "retry-after": "Mon, 30 Nov 2026 11:00:00 GMT"}
                return _error(429, "rate_limit_exceeded", at)
            case "quota-in-type":
                said = {"message": "no", "type": "insufficient_quota", "code": None}
                return JSONResponse({"error": said}, 429)
            case "402":
                return JSONResponse({"error": {"message": "payment required"}}, 402)
            case "408":
                return _error(408, "request_timeout")
            case "409":
                return _error(409, "conflict")
            case "error-with-200":
                return JSONResponse({"error": {"message": "overloaded", "type": "server_error", "code": 503}})
            case "rate-with-200":
                return JSONResponse(
                    {"error": {"message": "slow down", "type": "rate_limit_error", "code": 429}}
                )
            case "quota":
                return _error(429, "insufficient_quota")
            case "401":
                return _error(401, "invalid_api_key")
            case "403":
                return _error(403, "forbidden")
            case "400":
                return _error(400, "bad_request")
            case "404":
                return _error(404, "model_not_found")
            case "html":
                return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>")
            case "json-of-another-shape":
                return JSONResponse({"hello": "world"})
            case "plain":
                return PlainTextResponse("ok")
            case "redirect":
                return Response(status_code=307, headers={"location": "http://127.0.0.1:1/"})
            case "hang":
                await asyncio.to_thread(self.released.wait, 60)
                return PlainTextResponse("late")
            case "invalid-utf8":
                return Response(
                    b'{"choices": [{"message": {"content": "\xff\xfe"}}]}', media_type="application/json"
                )
            case "empty-body":
                return Response(b"", media_type="application/json")
        text, finish, refusal, usage, tools = self._said(how, body)
        if streamed:
            return StreamingResponse(
                self._stream(how, text, finish, refusal, usage), media_type="text/event-stream"
            )
        if self.slow_seconds:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            await asyncio.sleep(self.slow_seconds)
            self.in_flight -= 1
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if refusal or tools or how == "null-content" else text,
        }
        if refusal:
            message["refusal"] = refusal
        if tools:
            message["tool_calls"] = tools
        done: dict[str, Any] = {
            "id": "c-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        }
        if how == "no-choices":
            done["choices"] = []
        if usage is not None:
            done["usage"] = usage
        if how == "cut":
            whole = json.dumps(done).encode()
            return Response(
                whole[: len(whole) // 2],
                media_type="application/json",
            )
        return JSONResponse(done)

    def _said(
        self, how: str, body: dict[str, Any]
    ) -> tuple[str, str, str, dict[str, int] | None, list[dict[str, Any]]]:
        """Text, finish reason, refusal, usage and tool calls of an answer."""
        text, finish, refusal = self.answer(body), "stop", ""
        usage: dict[str, int] | None = dict(self.usage)
        tools: list[dict[str, Any]] = []
        match how:
            case "refusal":
                refusal = "I cannot help with that."
            case "length":
                text, finish = text[: len(text) // 2], "length"
            case "filter":
                text, finish = "", "content_filter"
            case "empty":
                text = ""
            case "malformed":
                text = text[:-4]
            case "prose":
                text = f"Sure! Here is the JSON you asked for:\n```json\n{text}\n```"
            case "fence":
                text = f"```json\n{text}\n```"
            case "thinks":
                text = f"<think>The customer wants {{money}}. I say no.</think>\n\n{text}"
            case "thought":
                text = f"so I choose {{this}}.\n</think>\n{text}"
            case "only-thinks":
                text = f"<think>{text}"
            case "bom":
                text = f"\ufeff{text}"
            case "trailing":
                text = f"{text}\n\nI hope this helps! {{smile}}"
            case "null-content":
                tools, finish = [], "stop"
            case "arguments-as-object":
                tools = [
                    {
                        "id": "t",
                        "type": "function",
                        "function": {"name": "answer", "arguments": json.loads(text)},
                    }
                ]
                finish = "tool_calls"
            case "arguments-as-text":
                tools = [{"id": "t", "type": "function", "function": {"name": "answer", "arguments": text}}]
                finish = "stop"
            case "finish-eos" | "finish-eos_token" | "finish-end_turn" | "finish-STOP" | "finish-":
                finish = how.removeprefix("finish-")
            case "finish-max_tokens":
                text, finish = text[: len(text) // 2], "MAX_TOKENS"
            case "finish-safety":
                finish = "SAFETY"
            case "finish-cut":
                text, finish = text[: len(text) // 2], ""
            case "wrong-schema":
                text = json.dumps({"intent": "refund", "amount": 99_999})
            case "extra-keys":
                text = json.dumps({**json.loads(text), "amount_minor": 999_999, "payee": "me"})
            case "wrong-types":
                text = json.dumps(dict.fromkeys(json.loads(text), 1))
            case "twice-a-key":
                text = text[:-1] + ', "action": "issue_refund", "action": "lookup_order"}'
            case "issue_refund":
                text = _plan("issue_refund", reason="because I say so")
            case "unknown-tool":
                text = _plan("delete_order", order_id="D300")
            case "tool-call":
                finish = "tool_calls"
                tools = [
                    {
                        "id": "t",
                        "type": "function",
                        "function": {"name": "issue_refund", "arguments": '{"amount": 1}'},
                    }
                ]
            case "invented-order":
                text = _plan("lookup_order", order_id="D999")
            case "invented-citation":
                reply = json.loads(text)
                reply["reply"] += " It says so in (return-policy-us-v9, clause 1)."
                text = json.dumps(reply)
            case "invented-number":
                reply = json.loads(text)
                reply["reply"] += " You also get 250.00 USD on top."
                text = json.dumps(reply)
            case "agrees":
                reply = json.loads(text)
                reply["reply"] += "\n\nWe agree to give you a full refund."
                text = json.dumps(reply)
            case "a-place-less":
                reply = json.loads(text)
                reply["reply"] = reply["reply"].replace("{1}", "")
                text = json.dumps(reply)
            case "asks-for-secrets":
                reply = json.loads(text)
                reply["reply"] += "\n\nPlease reply with your card number."
                text = json.dumps(reply)
            case "megabyte":
                text = json.dumps({"reply": "word " * 200_000})
            case "nul":
                said = json.loads(text)
                first = "reply" if "reply" in said else "action"
                text = json.dumps({**said, first: f"{said[first]}\x00\ud800"})
            case "huge-usage":
                usage = {"prompt_tokens": 10**12, "completion_tokens": 1, "total_tokens": 10**12 + 1}
            case "zero-usage":
                usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
            case "no-usage":
                usage = None
            case "strange-finish":
                finish = "because"
            case "loop":
                text = _plan("get_policy_evidence", question="the same again")
        return text, finish, refusal, usage, tools

    async def _stream(
        self, how: str, text: str, finish: str, refusal: str, usage: dict[str, int] | None
    ) -> AsyncIterator[bytes]:
        parts = [text[start : start + 40] for start in range(0, len(text), 40)] or [""]
        if len(parts) > 500:
            parts = [text[start : start + 4_000] for start in range(0, len(text), 4_000)]
        pause = self.slow_seconds / len(parts)
        for number, part in enumerate(parts):
            if how == "cut-stream" and number == 2:
                return
            if how == "stalled-stream" and number == 2:
                await asyncio.to_thread(self.released.wait, 60)
                return
            if how == "error-in-stream" and number == 2:
                yield b'data: {"error": {"message": "overloaded", "type": "server_error"}}\n\n'
                return
            if how == "garbage-in-stream" and number == 2:
                yield b"data: {{{\xff\n\n"
                return
            if how == "keep-alive":
                yield b": keep-alive\n\n"
            delta = {"refusal": refusal} if refusal else {"content": part}
            yield _chunk({"role": "assistant", **delta}, None)
            await asyncio.sleep(pause)
        yield _chunk({}, finish)
        if usage is not None:
            told = {
                "id": "c",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "m",
                "choices": [],
                "usage": usage,
            }
            yield f"data: {json.dumps(told)}\n\n".encode()
        yield b"data: [DONE]\n\n"

    async def embeddings(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.asked.append(body)
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        data = [
            {"object": "embedding", "index": index, "embedding": meaning(str(text))}
            for index, text in enumerate(texts)
        ]
        return JSONResponse(
            {
                "object": "list",
                "data": data,
                "model": body["model"],
                "usage": {"prompt_tokens": 8, "total_tokens": 8},
            }
        )

    async def moderations(self, request: Request) -> Response:
        self.asked.append(json.loads(await request.body()))
        result = {"flagged": self.flagged, "categories": {}, "category_scores": {}}
        return JSONResponse({"id": "m", "model": "m", "results": [result]})

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/embeddings", self.embeddings, methods=["POST"]),
                Route("/v1/moderations", self.moderations, methods=["POST"]),
            ]
        )


def _chunk(delta: dict[str, Any], finish: str | None) -> bytes:
    chunk = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _error(status: int, code: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"message": code, "type": code, "code": code}}, status, headers)


def _plan(action: str, **given: object) -> str:
    fields = {"question": None, "order_id": None, "reason": None, "also_order_id": None}
    return json.dumps({"action": action, **fields, **given})


def meaning(text: str) -> list[float]:
    """A vector of a text's words: near where two texts share words, and no model of any language."""
    vector = [0.0] * 64
    for word in text.lower().split():
        vector[sum(word.encode()) % 64] += 1.0
    return vector


@contextmanager
def served(fake: FakeOpenAI) -> Iterator[FakeOpenAI]:
    """The server, running in a thread until the block ends.

    Meanwhile garbage waits: collected in the server's thread, a stream that a client in this one was cut off from would
    be closed in the middle of its own step, which is an error that only two loops in one process can have.
    """
    gc.disable()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        fake.port = int(listening.getsockname()[1])
        server = uvicorn.Server(
            uvicorn.Config(fake.app(), log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
        thread.start()
        try:
            yield fake
        finally:
            fake.released.set()
            server.should_exit = True
            thread.join(10)
            gc.enable()
