"""Snapshots of a case in the books: where it stands now, read in one statement."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast, get_args

from records.books import Books, Row, Transaction
from records.cases import LastEvent
from records.money import CurrentProposal, current_proposal_of_row
from refunds.ids import CaseId, TenantId
from refunds.vocabulary import CaseStatus


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The last event of a case, its current proposal, the kill switch, its release and the time."""

    state: LastEvent
    current: CurrentProposal | None
    killed: bool
    now: datetime
    keeps_releases: bool = False
    """Whether the books say which release takes a case; a process goes by what it was started with where not."""

    release: str | None = None
    """The release under which the case goes on; None where none may take it."""

    reading: str | None = None
    """The newest reading of its words, as the books keep it."""


async def snapshot_at(tx: Transaction, case_id: CaseId) -> Snapshot:
    """Where a case stands; LookupError where there is none."""
    return snapshot_of_row(await tx.row("snapshot", case_id=case_id), case_id)


async def snapshot_now(books: Books, tenant: TenantId, case_id: CaseId) -> Snapshot:
    """Where a case stands, in one round trip: for a reader that reads and writes nothing else with it."""
    rows = await books.read_once(tenant, "snapshot", case_id=case_id)
    return snapshot_of_row(rows[0] if rows else None, case_id)


def snapshot_of_row(row: Row | None, case_id: CaseId) -> Snapshot:
    if row is None:
        raise LookupError(f"no events of case {case_id}")
    if row["status"] not in get_args(CaseStatus):
        raise ValueError(f"status {row['status']} is not of this program")
    state = LastEvent(cast("CaseStatus", row["status"]), row["reason"], row["ended"])
    return Snapshot(
        state,
        current_proposal_of_row(row),
        bool(row["killed"]),
        row["now"],
        row["keeps_releases"],
        row["release_now"],
        row["reading"],
    )


async def current_proposal(tx: Transaction, case_id: CaseId) -> CurrentProposal | None:
    """The newest proposal of a case; None where nothing was proposed."""
    return (await snapshot_at(tx, case_id)).current


async def case_state(tx: Transaction, case_id: CaseId) -> LastEvent:
    """The last event of a case."""
    return (await snapshot_at(tx, case_id)).state
