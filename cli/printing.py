"""What a terminal shows: states, tables, progress, and one line for each error that has a way out."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from desk.decisions import Conflict, NothingToDecide
from desk.intake import TicketRefused
from desk.notes import BadDecision
from desk.passwords import BadPassword
from desk.people import NoAuthority, NotSignedIn
from desk.queue import NoSuchCase, TwoCases
from graph.settings import BadProvider
from policies.clauses import BadRule
from policies.documents import BadDocument
from policies.manifest import ManifestMismatch
from policies.signature import BadKey
from records.audit import BadAnchors
from records.books import BooksAway, Refused, explained
from records.export import BadExport
from records.migrate import MigrationRefused
from records.states import State
from refunds.money import Currency, Money
from refunds.ticket import BadTicket
from runtime.home import BadHome
from runtime.jobs import NoSuchJob
from runtime.startup import CannotWork

Thing = TypeVar("Thing")

_KNOWN = (
    BadAnchors,
    BadDecision,
    BadDocument,
    BadExport,
    BadPassword,
    BadHome,
    BadKey,
    BadProvider,
    BadRule,
    BadTicket,
    BooksAway,
    CannotWork,
    Conflict,
    ManifestMismatch,
    MigrationRefused,
    NoAuthority,
    NoSuchCase,
    NoSuchJob,
    TwoCases,
    NotSignedIn,
    NothingToDecide,
    Refused,
    TicketRefused,
)

WIDTH = 140


_KNOWN_ELSEWHERE = (
    ("evals.exam.adopting", "NotDecided"),
    ("evals.exam.episode", "BadEpisode"),
    ("evals.exam.receipt", "BadReceipt"),
    ("evals.exam.sets", "NoData"),
    ("evals.tau2", "BadData"),
    ("graph.checkpointer", "LooseSerializer"),
)
"""Errors of modules that most commands never load. One that is not loaded cannot have raised anything."""


def _is_known(error: Exception) -> bool:
    elsewhere = [getattr(sys.modules[name], kind) for name, kind in _KNOWN_ELSEWHERE if name in sys.modules]
    return isinstance(error, (*_KNOWN, *elsewhere))


def known_error(error: Exception) -> str | None:
    """The one line of an error that a person can do something about; None for a defect of ours."""
    if isinstance(error, psycopg.Error):
        error = explained(error)
    if isinstance(error, BooksAway):
        return f"the database is away or takes no writes: {error}; is DATABASE_URL right, and is it running?"
    if _is_known(error):
        return str(error)
    if isinstance(error, UnicodeError):
        return f"text that is not UTF-8: {error}"
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    if isinstance(error, psycopg.DataError | psycopg.IntegrityError):
        return f"the database refused a value: {str(error).splitlines()[0]}"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"the database refused: {str(error).splitlines()[0]}: run countersign db migrate as its owner"
    return None


def state_lines(state: State) -> Iterator[str]:
    """A state for the eye."""
    yield f"{state['case_id']}  {state['status']}  {state['reason']}"
    proposal = state["proposal"]
    if isinstance(proposal, dict):
        amount = Money(proposal["amount_minor"], Currency(proposal["currency"]))
        money = f" {amount}" if proposal["kind"] == "refund" else ""
        waits = f", decide by {proposal['expires_at'][:16]}" if state["status"] == "needs_human" else ""
        yield f"  proposes   {proposal['kind']}{money}{waits}"
    citations = state["citations"]
    if isinstance(citations, list) and citations:
        yield f"  cites      {', '.join(citations)}"
    trace = state["trace"]
    if isinstance(trace, list) and trace:
        yield f"  steps      {' → '.join(str(row['result']) for row in trace)}  (budget audit: {state['budget_audit']})"
    refund = state["refund"]
    if isinstance(refund, dict):
        yield f"  refund     {refund['result']} {Money(refund['amount_minor'], Currency(refund['currency']))}"
    if state["draft"] and state["status"] == "needs_human":
        yield from (f"  | {printable(line)}" for line in str(state["draft"]).splitlines())


def printable(text: str) -> str:
    """Text of others without the control characters that could speak to a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as text."""
    drawn = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        drawn.add_row(*(Text(printable("" if cell is None else str(cell))) for cell in row))
    console = Console(file=io.StringIO(), width=WIDTH)
    console.print(drawn)
    return console.file.getvalue().rstrip() if isinstance(console.file, io.StringIO) else ""


def queue_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The queue."""
    if not rows:
        return "nothing waits for a person"
    return table(
        ("case", "ticket", "status", "reason", "amount", "decide by"),
        (
            (
                row["case_id"],
                row["ticket_id"],
                row["status"],
                row["reason"],
                Money(row["amount_minor"], Currency(row["currency"])) if row["amount_minor"] else "",
                row["expires_at"].strftime("%Y-%m-%d %H:%M") if row["expires_at"] else "",
            )
            for row in rows
        ),
    )


def dead_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Dead jobs."""
    if not rows:
        return "no job is dead"
    return table(
        ("job", "queue", "task", "about", "attempts", "died at"),
        (
            (
                row["id"],
                row["queue"],
                row["task"],
                row["args"].get("case_id") or row["args"].get("decision_id") or "",
                row["attempts"],
                row["at"].strftime("%Y-%m-%d %H:%M:%S") if row["at"] else "",
            )
            for row in rows
        ),
    )


def trace_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The trace."""
    return table(
        ("step", "action", "arguments", "result", "tokens", "ms"),
        (
            (
                row["step"],
                row["action"],
                str(row["args"])[:60],
                row["result"],
                row["tokens"],
                row["latency_ms"],
            )
            for row in rows
        ),
    )


def ledger_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The ledger."""
    if not rows:
        return "no money was ordered"
    return table(
        ("order", "amount", "approved by", "ordered at", "sends", "outcome", "provider's refund"),
        (
            (
                row["order_id"],
                Money(row["amount_minor"], Currency(row["currency"])),
                row["approved_by"],
                row["ordered_at"].strftime("%Y-%m-%d %H:%M:%S"),
                row["sends"],
                row["outcome"] or "not yet",
                row["provider_refund_id"],
            )
            for row in rows
        ),
    )


def people_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Everybody, for the eye."""
    return table(
        ("person", "name", "roles", "e-mail", "signs in by"),
        (
            (
                row["person"] if row["active"] else f"{row['person']} (left)",
                row["name"],
                "; ".join(f"{tenant}: {', '.join(held)}" for tenant, held in row["roles"].items()),
                row["email"] or "",
                row["issuer"] or ("password" if row["has_password"] else "token"),
            )
            for row in rows
        ),
    )


def review_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """What a fortnight is learnt from."""
    if not rows:
        return "nothing to review"
    return table(
        ("at", "what", "ticket", "release", "detail"),
        (
            (
                row["at"].strftime("%Y-%m-%d %H:%M"),
                row["kind"],
                row["ticket_id"],
                row["release"],
                row["detail"],
            )
            for row in rows
        ),
    )


def flags_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The flags in force."""
    if not rows:
        return "no flag is set"
    return table(
        ("tenant", "flag", "value", "set by", "at", "because"),
        (
            (
                row["tenant"],
                row["name"],
                row["value"],
                row["set_by"],
                row["set_at"].strftime("%Y-%m-%d %H:%M"),
                row["reason"],
            )
            for row in rows
        ),
    )


def authority_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rules of authority."""
    return table(
        ("from", "people", "specialists of them"),
        ((row["from"], str(row["approvals"]), str(row["specialists"])) for row in rows),
    )


def unreachable_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Cases whose customer no reply reaches."""
    return table(
        ("ticket", "customer", "since"),
        ((row["ticket_id"], row["customer_id"], row["at"]) for row in rows),
    )


def library_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The document versions of a library."""
    return table(
        ("document", "version", "region", "from", "until", "status", "said by", "counts"),
        (
            (
                row["document_id"],
                str(row["version"]),
                row["region"],
                row["effective_on"].isoformat(),
                row["expires_on"].isoformat() if row["expires_on"] else "-",
                row["status"],
                f"{row['verdict'] or '-'} {row['person'] or ''}".strip(),
                "yes" if row["counts"] else "no",
            )
            for row in rows
        ),
    )


@contextmanager
def progress_of(doing: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of bytes on standard error, where a person watches; told how many of how many."""
    if not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def tau2_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Requests with an exact refund."""
    return table(
        ("request", "order", "expected", "proposed", "refunded", "exact", "again", "decided by"),
        (
            (
                row["name"],
                row["order_id"],
                row["expected_minor"],
                row["proposed_minor"],
                row["refunded_minor"],
                "yes" if row["exact"] else f"NO {row['status']} {row['reason']}",
                row["paid_again_minor"],
                f"{row['rule']} ({row['clause']})" if row["rule"] else "",
            )
            for row in rows
        ),
    )


def questions_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Questions by half and kind."""
    columns = (
        "half", "kind", "asked", "answered", "left open", "wrong citations", "first", "among three", "among eight",
    )  # fmt: skip
    return table(columns, ([row[column] for column in columns] for row in rows))


def figures_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Figures by name; of rows that have the same ones, a line each."""
    columns = list(rows[0])
    if all(list(row) == columns for row in rows) and len(rows) > 1:
        return table(columns, ([row[column] for column in columns] for row in rows))
    return table(("", ""), ((name, figure) for row in rows for name, figure in row.items()))


def no_refund_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Requests that end without money."""
    return table(
        ("request", "order", "intent", "refunded", "ended", "decided by"),
        (
            (
                row["name"],
                row["order_id"],
                row["intent"],
                row["refunded_minor"],
                f"{row['status']} {row['reason']}",
                f"{row['rule']} ({row['clause']})" if row["rule"] else "",
            )
            for row in rows
        ),
    )


def compared_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Two bundles, an error a line."""
    return table(
        ("wrong", "old", "new", "mended", "broken"),
        (
            (row["wrong"], row["old"], row["new"], " ".join(row["mended"]), " ".join(row["broken"]))
            for row in rows
        ),
    )


def mails_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """What became of each mail."""
    columns = ("mail", "end", "why", "case_id")
    return table(columns, ([row[column] or "" for column in columns] for row in rows))


def progress(things: Sequence[Thing], doing: str) -> Iterator[Thing]:
    """The things one by one, with a bar on standard error where a person watches."""
    console = Console(stderr=True)
    if not sys.stderr.isatty() or len(things) < 2:
        yield from things
        return
    with Progress(console=console, transient=True) as bar:
        yield from bar.track(things, description=doing)
