"""Inquiries: disbursements without a known end, refunds that these books do not know, and what a person says of them.

The desk writes it down and wakes the cashier, which alone speaks with the provider.
"""

import re
from typing import assert_never
from uuid import UUID

from desk.catalogue import _
from desk.decisions import NothingToDecide, desk_refusal
from desk.notes import BadDecision, check_note
from desk.people import NoAuthority, Person
from records.books import Books, Refused, Row
from records.queue import enqueue, enqueue_cashier
from refunds.ids import CaseId, DisbursementId, PaymentId, TenantId
from refunds.vocabulary import FoundRefundAct, ProviderAct

UNKNOWN_SECONDS = 30
"""What a payment may take before its outcome counts as unknown."""

MOST = 500
REFUND_ID = re.compile(r"[!-~]{1,255}")


async def unknown_outcomes(
    books: Books, person: Person, decision_id: DisbursementId | None = None, *, most: int = MOST
) -> list[Row]:
    """Disbursements without a known end, a person's matters first, with every send and every question about them."""
    found: list[Row] = []
    for tenant in person.tenants:
        person.may_see(tenant)
        reads = books.reading(tenant)
        for row in await reads.rows(
            "unknown_outcomes", unknown_seconds=UNKNOWN_SECONDS, decision_id=decision_id, most=most
        ):
            acts = await reads.rows("provider_acts_of", decision_id=row["decision_id"])
            found.append(dict(row) | {"tenant": tenant, "acts": [dict(act) for act in acts]})
    return found


async def ask_provider(
    books: Books,
    person: Person,
    decision_id: UUID,
    act: ProviderAct,
    refund_id: str | None,
    note: str,
) -> None:
    """Write a question down and enqueue it. Raises NoAuthority, BadDecision, NothingToDecide, Refused."""
    check_note(note, "note")
    match act:
        case "settle":
            if not refund_id or not REFUND_ID.fullmatch(refund_id):
                raise BadDecision(_("refund_id: the provider's own id of the refund"))
        case "check" | "retry" | "new_key" | "withdraw":
            if refund_id:
                raise BadDecision(_("refund_id: only to mark it settled"))
        case _:
            assert_never(act)
    for tenant in person.tenants:
        if await _ask(books, person, tenant, decision_id, act, refund_id, note):
            return
    raise NothingToDecide(
        _(
            "no disbursement %(decision_id)s that %(person)s may see",
            decision_id=decision_id,
            person=person.person,
        )
    )


async def _ask(
    books: Books,
    person: Person,
    tenant: TenantId,
    decision_id: UUID,
    act: ProviderAct,
    refund_id: str | None,
    note: str,
) -> bool:
    """False where the disbursement is not this tenant's."""
    try:
        async with books.transaction(tenant) as tx:
            ordered = await tx.row("disbursement", decision_id=decision_id)
            if ordered is None:
                return False
            person.may_ask_provider(tenant)
            await tx.rows(
                "insert_provider_act",
                decision_id=decision_id,
                person=person.person,
                act=act,
                provider_refund_id=refund_id,
                note=note,
                via=person.via,
                address=person.address,
            )
            await enqueue_cashier(tx, tenant, DisbursementId(decision_id), PaymentId(ordered["payment_id"]))
    except Refused as refused:
        if refused.reason == "no_authority":
            raise NoAuthority(refused.detail) from None
        raise desk_refusal(refused) from None
    return True


async def found_refunds(books: Books, person: Person, *, most: int = MOST) -> list[Row]:
    """Refunds at the provider that these books do not know and of which nobody has said what they are."""
    found: list[Row] = []
    for tenant in person.tenants:
        person.may_see(tenant)
        rows = await books.reading(tenant).rows("found_refunds", most=most)
        found += [dict(row) | {"tenant": tenant} for row in rows]
    return found


async def say_of_found_refund(
    books: Books, person: Person, refund_id: str, act: FoundRefundAct, note: str
) -> None:
    """What a found refund is: another matter, or one of a case that these books had lost. The cashier looks again.

    Raises NoAuthority, BadDecision, NothingToDecide, Refused.
    """
    check_note(note, "note")
    if not REFUND_ID.fullmatch(refund_id):
        raise BadDecision(_("refund_id: the provider's own id of the refund"))
    for tenant in person.tenants:
        try:
            async with books.transaction(tenant) as tx:
                row = await tx.row("found_refund", provider_refund_id=refund_id)
                if row is None:
                    continue
                person.may_ask_provider(tenant)
                await tx.rows(
                    "insert_found_refund_act",
                    provider_refund_id=refund_id,
                    person=person.person,
                    act=act,
                    note=note,
                    via=person.via,
                    address=person.address,
                )
                payment_id = PaymentId(row["payment_id"])
                for order in await tx.rows("orders_of_payment", payment_id=payment_id):
                    await enqueue_cashier(tx, tenant, DisbursementId(order["decision_id"]), payment_id)
                if row["case_id"] is not None:
                    await enqueue(tx, tenant, CaseId(row["case_id"]))
                return
        except Refused as refused:
            if refused.reason == "no_authority":
                raise NoAuthority(refused.detail) from None
            raise desk_refusal(refused) from None
    raise NothingToDecide(
        _("no found refund %(refund_id)s that %(person)s may see", refund_id=refund_id, person=person.person)
    )
