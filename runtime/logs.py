"""Logs: one line of JSON an event, in one schema, with the case and its trace on each line that is about one.

Apart from traces: a log says what the process did, a trace what the case went through. What names a person is masked.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import structlog

from refunds.masking import mask

QUIET = ("procrastinate", "httpx", "httpx2", "openai", "stamina", "langsmith")
"""Libraries that say every call; what matters of it we say ourselves."""


@contextmanager
def about(**words: str) -> Iterator[None]:
    """Every line of the block is about this: case, trace, tenant."""
    with structlog.contextvars.bound_contextvars(**words):
        yield


class ToStandardError(logging.StreamHandler[TextIO]):
    """Writes to the standard error of the moment, which a test or a shell may have put elsewhere."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _masked(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {
        name: mask(value) if isinstance(value, str) and name in {"event", "exception"} else value
        for name, value in event.items()
    }


def _named(process: str) -> structlog.types.Processor:
    def name(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        return {"process": process, **event}

    return name


def log_to_standard_error(process: str, *, plain: bool, level: int = logging.INFO) -> None:
    """Let every logger of this process speak in lines of JSON, or in plain lines for a person at a terminal."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.stdlib.ExtraAdder(allow=()),
        _named(process),
    ]
    last: Any = (
        structlog.dev.ConsoleRenderer(colors=False, timestamp_key="at")
        if plain
        else structlog.processors.JSONRenderer(sort_keys=True)
    )
    handler = ToStandardError()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _masked,
                last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # A library that speaks structlog would print to standard output, which is the command's own.
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
