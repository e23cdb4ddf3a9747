"""Enqueue: a job in the same transaction as the row that needs it. A job names ids and grants nothing."""

from collections.abc import Iterable
from uuid import UUID

from records.books import Transaction
from refunds.canonical import canonical
from refunds.ids import CaseId, DisbursementId, PaymentId, TenantId

DRIVE = "drive_case"
"""The runner takes a case on."""

SETTLE = "settle"
"""The cashier looks at a disbursement."""

ANSWER = "answer_customer"
"""The desk writes the reply that a case calls for, and sends what has not gone out."""


NOTIFY = "notify"
"""The desk tells people of a case."""


async def enqueue(tx: Transaction, tenant: TenantId, case_id: CaseId) -> None:
    """Ask the runner to look at a case; taken back with the transaction if it does not commit."""
    await _defer(tx, "graph", DRIVE, case_lock(case_id), tenant=tenant, case_id=str(case_id))


async def enqueue_cashier(
    tx: Transaction, tenant: TenantId, disbursement_id: DisbursementId, payment_id: PaymentId
) -> None:
    """Ask the cashier to pay what was just ordered."""
    await _defer(
        tx,
        "cashier",
        SETTLE,
        f"payment:{tenant}:{payment_id}",
        tenant=tenant,
        decision_id=str(disbursement_id),
    )


async def enqueue_desk(tx: Transaction, tenant: TenantId, case_id: CaseId) -> None:
    """Ask the desk to answer the customer of a case."""
    await _defer(tx, "desk", ANSWER, f"reply:{case_id}", tenant=tenant, case_id=str(case_id))


async def enqueue_notice(tx: Transaction, tenant: TenantId, notice_id: UUID) -> None:
    """Ask the desk to tell people of a case."""
    await _defer(tx, "desk", NOTIFY, f"notice:{notice_id}", tenant=tenant, notice_id=str(notice_id))


async def enqueue_idle_notices(tx: Transaction, tenant: TenantId, notice_ids: Iterable[UUID]) -> int:
    """Enqueue those of these notices that no job is about; how many."""
    wanted = {f"notice:{notice_id}": notice_id for notice_id in notice_ids}
    busy = {row["lock"] for row in await tx.rows("locks_at_work", locks=list(wanted))}
    idle = [notice_id for lock, notice_id in wanted.items() if lock not in busy]
    for notice_id in idle:
        await enqueue_notice(tx, tenant, notice_id)
    return len(idle)


async def enqueue_idle(tx: Transaction, tenant: TenantId, case_ids: Iterable[CaseId]) -> int:
    """Enqueue those of these cases that no job is about; how many."""
    wanted = {case_lock(case_id): case_id for case_id in case_ids}
    busy = {row["lock"] for row in await tx.rows("locks_at_work", locks=list(wanted))}
    idle = [case_id for lock, case_id in wanted.items() if lock not in busy]
    for case_id in idle:
        await enqueue(tx, tenant, case_id)
    return len(idle)


def case_lock(case_id: CaseId) -> str:
    """The lock under which the jobs of a case follow one another."""
    return f"case:{case_id}"


async def _defer(tx: Transaction, queue: str, task: str, lock: str, **args: str) -> None:
    tx.later("defer_job", queue=queue, task=task, lock=lock, args=canonical(args))
