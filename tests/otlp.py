"""A receiver of OpenTelemetry spans over real HTTP, that decodes what was sent; it can hang and refuse."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Sent:
    """One span as it arrived."""

    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    attributes: dict[str, Any]
    error: str


@dataclass
class Receiver:
    """What came, and in which requests."""

    port: int = 0
    spans: list[Sent] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    hangs: bool = False
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, body: bytes) -> None:
        self.raw.append(body)
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    said = {item.key: _value(MessageToDict(item.value)) for item in span.attributes}
                    self.spans.append(
                        Sent(
                            span.name,
                            span.trace_id,
                            span.span_id,
                            span.parent_span_id,
                            said,
                            span.status.message,
                        )
                    )


def _value(said: dict[str, Any]) -> object:
    return next(iter(said.values()), None)


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
            if receiver.hangs:
                receiver.released.wait(60)
                return
            receiver.take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.shutdown()
        thread.join(10)
        server.server_close()


def waited(look: Any, seconds: float = 15.0) -> bool:
    ends = time.monotonic() + seconds
    while not look() and time.monotonic() < ends:
        time.sleep(0.02)
    return bool(look())
