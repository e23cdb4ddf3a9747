"""Assignments: for whom a case is. They say whose work it is and give nobody a right."""

import re

from desk.catalogue import _
from desk.decisions import Conflict, NothingToDecide, authority_of, claimed_by, desk_refusal
from desk.notes import BadDecision, check_note
from desk.people import Person
from policies.deadlines import ESCALATE_SHARE
from records.books import Books, Refused
from records.cases import case_by_id
from records.snapshots import case_state, current_proposal
from refunds.ids import CaseId, PersonId, TenantId
from refunds.vocabulary import Authority

MOST = 500
NAME = re.compile(r"[!-~]{1,128}")


async def assign(
    books: Books,
    person: Person,
    tenant: TenantId,
    case_id: CaseId,
    to_person: PersonId | None,
    to_role: Authority | None,
    note: str,
) -> None:
    """Hand a case to a colleague or a team and give it back. Raises NoAuthority, BadDecision, NothingToDecide."""
    person.may_decide(tenant)
    check_note(note, "note")
    if (to_person is None) == (to_role is None):
        raise BadDecision(_("to: a person or a team, one of the two"))
    if to_person is not None and not NAME.fullmatch(to_person):
        raise BadDecision(_("to: nobody has such a name"))
    try:
        async with books.transaction(tenant) as tx:
            if await case_by_id(tx, case_id) is None:
                raise NothingToDecide(_("no case %(case)s for %(tenant)s", case=case_id, tenant=tenant))
            await tx.rows("hold_case", tenant=tenant, case_id=case_id)
            now = await case_state(tx, case_id)
            if now.ended and now.status != "refund_failed":
                raise NothingToDecide(
                    _("case %(case)s has ended (%(status)s)", case=case_id, status=now.status)
                )
            held = await tx.row("claim_of", case_id=case_id)
            if held is not None and held["person"] != person.person:
                raise Conflict(claimed_by(held))
            if held is not None:
                await tx.rows("insert_claim", case_id=case_id, person=person.person, minutes=0)
            await tx.rows(
                "insert_assignment",
                case_id=case_id,
                by_person=person.person,
                to_person=to_person,
                to_role=to_role,
                note=note,
            )
    except Refused as refused:
        raise desk_refusal(refused) from None


async def escalate(books: Books) -> int:
    """What has little time left becomes the specialists' matter, once a proposal; how many."""
    escalated = 0
    for tenant in await books.tenants():
        async with books.transaction(tenant) as tx:
            late = await tx.rows("running_out", share=ESCALATE_SHARE, most=MOST)
        for row in late:
            async with books.transaction(tenant) as tx:
                await tx.rows("hold_case", tenant=tenant, case_id=row["case_id"])
                await tx.rows(
                    "insert_assignment",
                    case_id=row["case_id"],
                    by_person=None,
                    to_person=None,
                    to_role="specialist",
                    note=f"the time to decide ends at {row['expires_at']:%Y-%m-%d %H:%M} UTC",
                )
            escalated += 1
    return escalated


async def least_loaded(books: Books, person: Person, tenant: TenantId, case_id: CaseId) -> str:
    """The colleague with the fewest cases in hand of those whose yes would count for what is proposed.

    Raises NoAuthority, BadDecision where there is none.
    """
    person.may_decide(tenant)
    async with books.transaction(tenant) as tx:
        current = await current_proposal(tx, case_id)
        rule = await authority_of(tx, tenant, current) if current else None
        rows = await tx.rows("load_of_deciders")
    needed = {"specialist"} if rule is not None and rule.specialists else {"specialist", "reviewer"}
    fit = [row for row in rows if row["person"] != person.person and needed & set(row["roles"])]
    if not fit:
        raise BadDecision(_("to: nobody else here may decide it"))
    return str(fit[0]["person"])
