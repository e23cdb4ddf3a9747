"""The trace in the books: one row a step, arguments before and after validation."""

import json
from collections.abc import Sequence

from psycopg.types.json import Jsonb

from records.books import Reads, Row, Transaction
from refunds.canonical import canonical
from refunds.finding import Finding
from refunds.ids import CaseId, CustomerId
from refunds.trace import TraceEvent

MOST = 40
"""Findings of a run that are kept."""


def write_trace(tx: Transaction, case_id: CaseId, customer_id: CustomerId, trace: list[TraceEvent]) -> None:
    """Write the steps of one run under the next run number, with what is written after them."""
    if not trace:
        return
    steps = [
        {
            "step": event.step,
            "action": event.action,
            "args": canonical(event.args),
            "checked_args": None if event.checked_args is None else canonical(event.checked_args),
            "result": event.result,
            "result_sha256": event.result_sha256,
            "tokens": event.tokens,
            "latency_ms": event.latency_ms,
            "cost_micros": event.cost_micros,
        }
        for event in trace
    ]
    tx.later("insert_trace", case_id=case_id, for_customer=customer_id, steps=Jsonb(steps))


def write_findings(tx: Transaction, case_id: CaseId, found: Sequence[Finding]) -> None:
    """Write what was noticed in the run whose trace was written before it."""
    rows = [{"place": number, **finding.to_json()} for number, finding in enumerate(found[:MOST], start=1)]
    if rows:
        tx.later("insert_findings", case_id=case_id, found=Jsonb(rows))


async def read_trace(reads: Reads, case_id: CaseId) -> list[TraceEvent]:
    """The steps of the last run of a case."""
    rows = await reads.rows("trace_of", case_id=case_id)
    last = max((row["run"] for row in rows), default=0)
    return [_event_of(row) for row in rows if row["run"] == last]


async def read_runs(reads: Reads, case_id: CaseId) -> list[TraceEvent]:
    """The steps of every run of a case, in order."""
    return [_event_of(row) for row in await reads.rows("trace_of", case_id=case_id)]


def _event_of(row: Row) -> TraceEvent:
    return TraceEvent(
        step=row["step"],
        action=row["action"],
        args=json.loads(row["args"]),
        result=row["result"],
        tokens=row["tokens"],
        latency_ms=row["latency_ms"],
        checked_args=json.loads(row["checked_args"]) if row["checked_args"] else None,
        result_sha256=row["result_sha256"],
        cost_micros=row["cost_micros"],
    )
