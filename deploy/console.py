"""The console of `serve`: what a person at a terminal reads of five processes, and the whole of it in a file.

On a terminal: a line as each process is ready, the addresses, then warnings and errors. Elsewhere, or with
`--logs json`, every line goes to standard output as its process wrote it.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

from honcho.printer import Printer

LogForm = Literal["auto", "json", "plain"]

GRAVE = frozenset({"warning", "error", "critical", "exception"})

OF_NO_USE = (
    # The allowlist lets Studio in only from an origin that GRAPH_ALLOWED_ORIGINS names; this address would be refused.
    "Studio UI:",
    # Runs that roll back are refused by the allowlist, so there is nothing of them to clean up.
    "Custom checkpointer missing adelete_for_runs",
)
"""Lines of the development server that would mislead whoever reads them."""


def printer_of(form: LogForm, folder: Path) -> "Plain | Console":
    """What writes the processes' lines: for a person on a terminal, as they are otherwise."""
    if form == "plain" or (form == "auto" and sys.stdout.isatty()):
        return Console(folder / "serve.jsonl", sys.stdout)
    return Plain(sys.stdout)


class Plain:
    """Lets every line through unchanged, except those that mislead."""

    def __init__(self, output: TextIO, *, prefix: bool = True) -> None:
        self.width = 0
        """Of the longest name; the manager sets it."""

        self._printer = Printer(output, prefix=prefix)

    def write(self, message: Any) -> None:  # noqa: ANN401  (a tuple of honcho's)
        if not misleads(text_of(message.data)):
            self._printer.width = self.width
            self._printer.write(message)


class Console:
    """Warnings and errors for a person, everything for the file."""

    def __init__(self, file: Path, output: TextIO) -> None:
        self.width = 0
        self.output = output
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file.open("a", encoding="utf-8")

    def write(self, message: Any) -> None:  # noqa: ANN401  (a tuple of honcho's)
        for line in text_of(message.data).splitlines():
            event = event_of(line, str(message.name or "system"))
            self.file.write(json.dumps(event, ensure_ascii=False) + "\n")
            self.file.flush()
            said = readable(event)
            if said is not None and not misleads(line):
                self.output.write(said + "\n")
                self.output.flush()


def text_of(data: object) -> str:
    """The text of a message, whatever bytes it has."""
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)


def misleads(line: str) -> bool:
    """Whether a line says something that is not so in this house."""
    return any(part in line for part in OF_NO_USE)


def event_of(line: str, process: str) -> dict[str, object]:
    """A line as the JSON object that it is, or one that holds it."""
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        level = "error" if line.startswith(("Traceback", "countersign:", f"{process}:")) else "info"
        event = {"event": line, "level": level}
    return {"at": datetime.now(UTC).isoformat(), "process": process, **event}


def readable(event: dict[str, object]) -> str | None:
    """A warning or an error in one line, and what raised it below; None for everything else."""
    level = str(event.get("level", "info")).lower()
    if level not in GRAVE:
        return None
    at = str(event.get("at") or event.get("timestamp") or "")[11:19]
    said = f"{at} {event['process']:<9} {level}: {event.get('event', '')}"
    trouble = str(event.get("exception") or "").rstrip()
    return said + (f"\n{trouble}" if trouble else "")
