"""Exporting: spans to Langfuse, and to any OpenTelemetry endpoint, through an exporter that masks all of a span.

It has a provider of its own and sets nothing global: no other library's span goes where ours go. A server that is
down or hangs delays nothing: spans wait in a queue that drops its oldest, and the end of a process waits three seconds.
"""

import base64
import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

import requests
from langgraph.errors import GraphBubbleUp
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from graph.tracing import Kind, Span, Spans, encoded, hashed, root_id_of, trace_id_of
from records.cases import Case
from refunds.masking import NOBODY, KnownNames, mask

EXPORT_SECONDS = 1.0
QUEUE = 2_048
BATCH = 256
EVERY_MS = 1_000

NOISY = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.sdk._shared_internal",
    "opentelemetry.sdk.trace",
    "opentelemetry.attributes",
    "urllib3.connectionpool",
)
"""They say in many lines that a server is away; the meters say it in a number."""

NO_CASE: Mapping[str, object] = MappingProxyType({})

_IDS: ContextVar[tuple[int, int] | None] = ContextVar("ids", default=None)


@dataclass(frozen=True, slots=True)
class Target:
    """Where spans go: the whole address, and what opens it."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


def langfuse_target(base_url: str, public_key: str, secret_key: str) -> Target:
    """The OpenTelemetry endpoint of a Langfuse server."""
    token = base64.b64encode(f"{public_key}:{secret_key}".encode()).decode()
    return Target(
        f"{base_url.rstrip('/')}/api/public/otel/v1/traces",
        {"Authorization": f"Basic {token}", "x-langfuse-ingestion-version": "4"},
    )


class FixedIds(IdGenerator):
    """Random ids, but for the root of a case's trace."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()

    def generate_trace_id(self) -> int:
        fixed = _IDS.get()
        return fixed[0] if fixed else self._random.generate_trace_id()

    def generate_span_id(self) -> int:
        fixed = _IDS.get()
        return fixed[1] if fixed else self._random.generate_span_id()


class OwnSession(requests.Session):
    """A session that sends our headers and nobody else's: none of the environment, none of a .netrc."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.trust_env = False
        self._allowed = {
            "content-type",
            "content-encoding",
            "content-length",
            "user-agent",
            *(name.lower() for name in headers),
        }

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """The request with our headers alone, whatever was merged into them."""
        prepared = super().prepare_request(request)
        for name in [name for name in prepared.headers if name.lower() not in self._allowed]:
            del prepared.headers[name]
        return prepared


class MaskingExporter(SpanExporter):
    """Masks names, attributes, events, links, status and resource. What it cannot mask it drops and counts."""

    def __init__(self, inner: SpanExporter) -> None:
        self.inner = inner
        self.sent = self.failed = self.dropped = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        safe: list[ReadableSpan] = []
        for span in spans:
            try:
                safe.append(rebuilt(span))
            except Exception:  # noqa: BLE001  (whatever it is, it may hold what must not leave)
                self.dropped += 1
        if not safe:
            return SpanExportResult.SUCCESS
        try:
            result = self.inner.export(safe)
        except Exception:  # noqa: BLE001  (a trace that cannot be sent is nobody's failure)
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self.sent += len(safe)
        else:
            self.failed += len(safe)
        return result

    def shutdown(self) -> None:
        self.inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        del timeout_millis
        return True


def rebuilt(span: ReadableSpan) -> ReadableSpan:
    """A copy of a span with every text in it masked."""
    failed = span.status.status_code is StatusCode.ERROR and span.status.description
    return ReadableSpan(
        name=mask(span.name),
        context=span.context,
        parent=span.parent,
        resource=Resource(_attributes(span.resource.attributes)),
        attributes=_attributes(span.attributes),
        events=[
            Event(mask(event.name), _attributes(event.attributes), event.timestamp) for event in span.events
        ],
        links=[Link(link.context, _attributes(link.attributes)) for link in span.links],
        kind=span.kind,
        status=Status(span.status.status_code, mask(span.status.description or "") if failed else None),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _attributes(said: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        mask(name): _safe(value) for name, value in (said or {}).items() if name != "exception.stacktrace"
    }


def _safe(value: object) -> Any:  # noqa: ANN401  (what OpenTelemetry takes is of many types)
    """A value masked to its leaves: JSON in a text too, where escapes would hide a name."""
    match value:
        case None | bool() | int() | float():
            return value
        case str() if value[:1] in {"{", "[", '"'}:
            try:
                return json.dumps(_safe(json.loads(value)), ensure_ascii=False)
            except ValueError:
                return mask(value)
        case str():
            return mask(value)
        case Mapping():
            return {mask(str(key)): _safe(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_safe(inner) for inner in value]
        case _:
            return "[dropped]"


class SentSpan:
    """An open span that is sent."""

    def __init__(self, span: trace.Span, known: KnownNames) -> None:
        self._span = span
        self._known = known

    def set(self, **said: object) -> None:
        """Add attributes to the span."""
        self._span.set_attributes(encoded(said, self._known))

    def failed(self, word: str) -> None:
        """Mark the span as failed, in a word of ours: the text of an exception may hold a customer's."""
        self.set(level="ERROR", status_message=word)
        self._span.set_status(Status(StatusCode.ERROR, word))


class SentSpans(Spans):
    """The spans of a process that sends them."""

    on = True

    def __init__(self, targets: Sequence[Target], *, environment: str, release: str, service: str) -> None:
        for name in NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._common = {"environment": environment, "release": release}
        self.exporters = [MaskingExporter(_exporter(target)) for target in targets]
        self._processors = [
            BatchSpanProcessor(
                exporter, max_queue_size=QUEUE, schedule_delay_millis=EVERY_MS, max_export_batch_size=BATCH
            )
            for exporter in self.exporters
        ]
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            shutdown_on_exit=False,
            id_generator=FixedIds(),
            resource=Resource({"service.name": service, "service.version": release}),
        )
        for processor in self._processors:
            self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("countersign")

    @contextmanager
    def span(
        self, name: str, kind: Kind = "span", known: KnownNames = NOBODY, **said: object
    ) -> Iterator[Span]:
        """A span under the one that is open."""
        with self._open(name, None, {"type": kind, **self._common, **_OF_CASE.get(), **said}, known) as span:
            yield span

    @contextmanager
    def case(self, case: Case, name: str, *, first: bool) -> Iterator[Span]:
        """The span of one drive: the root of the trace, or a span under it."""
        trace_id, root = int(trace_id_of(case.case_id), 16), int(root_id_of(case.case_id), 16)
        of_case = {
            "trace_name": f"case {case.intent}",
            "session_id": str(case.case_id),
            "user_id": hashed(case.customer_id),
            "tags": [f"tenant:{hashed(case.tenant)}", f"release:{case.release}"],
        }
        parent = Context()
        if not first:
            context = SpanContext(trace_id, root, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
            parent = trace.set_span_in_context(NonRecordingSpan(context), parent)
        ids = _IDS.set((trace_id, root)) if first else None
        told = _OF_CASE.set(of_case)
        said = {"type": "agent", **self._common, **of_case, "case_id": str(case.case_id)}
        try:
            with self._open(name, parent, said, NOBODY) as span:
                yield span
        finally:
            _OF_CASE.reset(told)
            if ids is not None:
                _IDS.set(None)

    @contextmanager
    def _open(
        self, name: str, parent: Context | None, said: Mapping[str, object], known: KnownNames
    ) -> Iterator[SentSpan]:
        opened = self._tracer.start_span(
            name,
            context=parent,
            attributes=encoded(said, known),
            record_exception=False,
            set_status_on_exception=False,
        )
        _IDS.set(None)  # only the root has a fixed id
        span = SentSpan(opened, known)
        with trace.use_span(opened, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield span
            except GraphBubbleUp:
                raise  # a pause is no failure
            except Exception as error:
                span.failed(type(error).__name__)
                raise

    def shutdown(self, seconds: float = 3.0) -> bool:
        """Send what is left, within so long: each target in a thread that a process does not wait for."""
        ends = time.monotonic() + seconds
        threads = [threading.Thread(target=processor.shutdown, daemon=True) for processor in self._processors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, ends - time.monotonic()))
        done = not any(thread.is_alive() for thread in threads)
        if not done:
            for exporter in self.exporters:
                with suppress(Exception):
                    exporter.shutdown()
        return done


_OF_CASE: ContextVar[Mapping[str, object]] = ContextVar("of_case", default=NO_CASE)


def _exporter(target: Target) -> OTLPSpanExporter:
    return OTLPSpanExporter(
        endpoint=target.url,
        headers=dict(target.headers),
        timeout=EXPORT_SECONDS,
        compression=Compression.Gzip,
        session=OwnSession(target.headers),
    )


def spans_of(environment: Mapping[str, str], *, mode: str, release: str, service: str) -> Spans:
    """The spans that the environment asks for: LANGFUSE_*, OTEL_EXPORTER_OTLP_ENDPOINT, both or none."""
    targets: list[Target] = []
    public, secret = environment.get("LANGFUSE_PUBLIC_KEY"), environment.get("LANGFUSE_SECRET_KEY")
    if public and secret:
        base = (
            environment.get("LANGFUSE_BASE_URL")
            or environment.get("LANGFUSE_HOST")
            or "https://cloud.langfuse.com"
        )
        targets.append(langfuse_target(base, public, secret))
    endpoint = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if endpoint:
        pairs = [pair.partition("=") for pair in environment.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",")]
        headers = {name.strip(): unquote(value.strip()) for name, equals, value in pairs if equals}
        targets.append(Target(f"{endpoint.rstrip('/')}/v1/traces", headers))
    if not targets:
        return Spans()
    return SentSpans(targets, environment=mode, release=release, service=service)
