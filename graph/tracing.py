"""Spans: what a case went through, as one trace across the pause and the resume. Nothing happens without a target.

A span holds ids, results, figures and masked words. The names of its attributes are those that Langfuse reads; any
OpenTelemetry endpoint gets the same. What leaves goes through graph/exporting.py, which masks once more.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, Literal, ParamSpec, Protocol, TypeVar

from langgraph.errors import GraphBubbleUp

from policies.prompts import Prompt
from records.cases import Case
from records.model_calls import Place, Receipt, Request
from refunds.canonical import sha256
from refunds.ids import CaseId, TenantId
from refunds.masking import NOBODY, KnownNames, masked

Kind = Literal["span", "agent", "tool", "generation", "guardrail", "chain", "retriever"]

ATTRIBUTES: Mapping[str, str] = {
    "type": "langfuse.observation.type",
    "input": "langfuse.observation.input",
    "output": "langfuse.observation.output",
    "level": "langfuse.observation.level",
    "status_message": "langfuse.observation.status_message",
    "model": "langfuse.observation.model.name",
    "model_parameters": "langfuse.observation.model.parameters",
    "usage_details": "langfuse.observation.usage_details",
    "cost_details": "langfuse.observation.cost_details",
    "prompt_name": "langfuse.observation.prompt.name",
    "prompt_version": "langfuse.observation.prompt.version",
    "version": "langfuse.version",
    "trace_name": "langfuse.trace.name",
    "session_id": "session.id",
    "user_id": "user.id",
    "tags": "langfuse.trace.tags",
    "environment": "langfuse.environment",
    "release": "langfuse.release",
}
"""What each of our words is called in a span; any other word is metadata of the observation."""

METADATA = "langfuse.observation.metadata."
AS_IT_IS = frozenset({"prompt_version", "tags"})
"""A number and a list of texts; what else is no text is said as JSON."""


def trace_id_of(case_id: CaseId) -> str:
    """The trace of a case, in every process and after every pause: 32 hex digits, as Langfuse makes them of a seed."""
    return hashlib.sha256(str(case_id).encode()).digest()[:16].hex()


def root_id_of(case_id: CaseId) -> str:
    """The span that every other span of a case is under."""
    return hashlib.sha256(f"root:{case_id}".encode()).digest()[:8].hex()


def hashed(name: str) -> str:
    """A stable pseudonym of a tenant or a customer, for a trace."""
    return sha256(f"countersign:{name}")[:16]


class Span(Protocol):
    """An open span."""

    def set(self, **said: object) -> None: ...

    def failed(self, word: str) -> None: ...


class SilentSpans:
    """A span that is not kept."""

    def set(self, **said: object) -> None:
        """Nothing."""

    def failed(self, word: str) -> None:
        """Nothing."""


_SILENT = SilentSpans()
Arguments = ParamSpec("Arguments")
Taken = TypeVar("Taken")


class Spans:
    """The spans of a process. This one keeps none; graph/exporting.py has those that are sent."""

    on = False

    @contextmanager
    def span(
        self, name: str, kind: Kind = "span", known: KnownNames = NOBODY, **said: object
    ) -> Iterator[Span]:
        """A span under the one that is open; what is said of it is masked here."""
        del name, kind, known, said
        yield _SILENT

    @contextmanager
    def case(self, case: Case, name: str, *, first: bool) -> Iterator[Span]:
        """The span of one drive of a case. The first is the root of its trace."""
        del case, name, first
        yield _SILENT

    @contextmanager
    def call(self, tenant: TenantId, place: Place, request: Request, prompt: Prompt) -> Iterator["CallSpan"]:
        """The span of one call of a model."""
        with self.span(
            f"{place.feature} with {request.model}",
            "generation",
            model=request.model,
            prompt_name=prompt.name,
            prompt_version=int(prompt.version) if prompt.version.isdigit() else None,
            version=place.release,
            endpoint=request.endpoint,
            feature=place.feature,
            tenant=hashed(tenant),
            reserved_tokens=request.tokens,
        ) as span:
            yield CallSpan(span)

    def around(
        self, name: str, node: Callable[Arguments, Awaitable[Taken]], kind: Kind = "chain"
    ) -> Callable[Arguments, Awaitable[Taken]]:
        """A node of the graph in a span of its name; an interrupt does not count as a failure."""
        if not self.on:
            return node

        @wraps(node)
        async def traced(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Taken:
            with self.span(name, kind) as span:
                try:
                    done = await node(*args, **kwargs)
                except GraphBubbleUp:
                    span.set(output="paused")
                    raise
                span.set(output=span_output(done))
                return done

        return traced

    def shutdown(self, seconds: float = 3.0) -> bool:
        """Send what is left, within so long; whether all of it went."""
        del seconds
        return True


class CallSpan:
    """The span of a model's call: what was asked and answered, masked, and what it cost."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def ended(self, receipt: Receipt, question: "TracedQuestion") -> None:
        """How the call ended."""
        self._span.set(
            input=question.data,
            output=receipt.text,
            outcome=receipt.outcome,
            usage_details={
                "input": receipt.input_tokens or 0,
                "output": receipt.output_tokens or 0,
                "total": receipt.tokens,
            },
            cost_details={"total": receipt.cost_micros / 1_000_000},
            price=receipt.price,
            latency_ms=receipt.latency_ms,
        )
        if receipt.outcome != "answered":
            self._span.failed(receipt.outcome)


class TracedQuestion(Protocol):
    """What of a question a span shows."""

    @property
    def data(self) -> str: ...


def span_output(done: object) -> object:
    """What of a node's answer a span shows: where it goes, and the contract's words of the state."""
    goto = getattr(done, "goto", None)
    update = getattr(done, "update", done)
    words: dict[str, object] = {} if goto is None else {"goto": str(goto)}
    if isinstance(update, dict):
        words |= {key: update[key] for key in ("status", "reason", "budget_audit") if key in update}
    return words


def encoded(said: Mapping[str, object], known: KnownNames) -> dict[str, Any]:
    """What is said of a span as its attributes, masked."""
    found: dict[str, Any] = {}
    for word, value in said.items():
        if value is None:
            continue
        safe = masked(value, known)
        name = ATTRIBUTES.get(word, f"{METADATA}{word}")
        plain = isinstance(safe, str) or word in AS_IT_IS
        found[name] = safe if plain else json.dumps(safe, ensure_ascii=False, default=str)
    return found
