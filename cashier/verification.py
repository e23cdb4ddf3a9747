"""Verification: a disbursement is paid only if what was signed says so, field by field. Pure.

The books are not trusted here: an administrator can write a row, and cannot sign one. The public keys
come from the cashier's own configuration.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policies.authority import rule_of, rules_for
from policies.signature import PublicKeys
from refunds.canonical import digest, sha256
from refunds.decision import Ballot
from refunds.ids import (
    CaseId,
    DecisionId,
    OrderId,
    PaymentId,
    PersonId,
    ProposalId,
    TenantId,
    ThreadId,
    decision_of,
)
from refunds.money import Currency, Money
from refunds.proposal import Proposal
from refunds.refund import ApprovedRefund
from refunds.vocabulary import RefundResult

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Payable:
    """A refund whose signatures hold."""

    refund: ApprovedRefund

    def key(self, epoch: int) -> str:
        """The idempotency key of an epoch: of the signed terms alone, so that every copy of the books makes the same.

        Who signed, when and with which key is not in it: two copies of the books may differ in that.
        """
        refund = self.refund
        names = (refund.case_id, refund.thread_id, refund.decision_id, refund.proposal_id)
        money = (refund.order_id, refund.payment_id, refund.amount.amount_minor, refund.amount.currency)
        terms = digest([refund.tenant, *map(str, names), refund.digest, *money])
        return f"{refund.tenant}:{refund.decision_id}:{epoch}:{terms[:32]}"


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """Signed with a key that this cashier does not have: it waits for its configuration, and pays nothing."""

    kid: str


@dataclass(frozen=True, slots=True)
class NotPayable:
    """Why nothing may be sent."""

    reason: RefundResult


def verify_disbursement(
    ordered: Row, votes: Sequence[Row], keys: PublicKeys
) -> Payable | NotPayable | UnknownKey:
    """Whether a disbursement is what people signed: every vote, the proposal's text, the case's thread."""
    approvals = [vote for vote in votes if vote["word"] == "approve"]
    if not approvals:
        return NotPayable("blocked:not_approved")
    unknown = next((vote["kid"] for vote in approvals if not keys.knows(vote["kid"])), None)
    if unknown is not None:
        return UnknownKey(unknown)
    ballots = [ballot_of(vote) for vote in approvals]
    if not all(_is_signed(vote, ballot, keys) for vote, ballot in zip(approvals, ballots, strict=True)):
        return NotPayable("blocked:approval_mismatch")
    refund = _refund(ordered, min(ballot.execute_by for ballot in ballots))
    if not all(_same(refund, ballot) for ballot in ballots) or not _text_is_the_same(ordered, refund):
        return NotPayable("blocked:approval_mismatch")
    rule = rule_of(refund.amount, rules_for(refund.tenant, [refund.amount.currency]))
    people = {ballot.person for ballot in ballots}
    specialists = {ballot.person for ballot in ballots if ballot.authority == "specialist"}
    if rule is None or len(people) < rule.approvals or len(specialists) < rule.specialists:
        return NotPayable("blocked:not_approved")
    return Payable(refund)


def ballot_of(vote: Row) -> Ballot:
    """What was signed, from the columns of a vote."""
    return Ballot(
        kid=vote["kid"],
        tenant=TenantId(vote["tenant"]),
        case_id=CaseId(vote["case_id"]),
        thread_id=ThreadId(vote["thread_id"]),
        decision_id=DecisionId(vote["decision_id"]),
        word=vote["word"],
        proposal_id=ProposalId(vote["proposal_id"]),
        digest=vote["digest"],
        kind=vote["kind"],
        payment_id=PaymentId(vote["payment_id"]),
        order_id=OrderId(vote["order_id"]),
        amount=Money(vote["amount_minor"], Currency(vote["currency"])),
        person=PersonId(vote["person"]),
        authority=vote["authority"],
        decided_at=vote["decided_at"],
        execute_by=vote["execute_by"],
    )


def _is_signed(vote: Row, ballot: Ballot, keys: PublicKeys) -> bool:
    """The columns, the payload and the signed text are one text, by a key that speaks for the tenant."""
    read = keys.read(vote["signature"])
    if read is None:
        return False
    text, kid = read
    return (
        text == vote["payload"] == ballot.payload()
        and kid == ballot.kid
        and keys.speaks_for(kid, ballot.tenant)
    )


def _refund(ordered: Row, execute_by: datetime) -> ApprovedRefund:
    return ApprovedRefund(
        tenant=TenantId(ordered["tenant"]),
        case_id=CaseId(ordered["case_id"]),
        thread_id=ThreadId(ordered["thread_id"]),
        decision_id=DecisionId(ordered["decision_id"]),
        proposal_id=ProposalId(ordered["proposal_id"]),
        digest=ordered["digest"],
        order_id=OrderId(ordered["order_id"]),
        payment_id=PaymentId(ordered["payment_id"]),
        amount=Money(ordered["amount_minor"], Currency(ordered["currency"])),
        execute_by=execute_by,
    )


def _same(refund: ApprovedRefund, ballot: Ballot) -> bool:
    return (
        ballot.kind == "refund"
        and ballot.decision_id == decision_of(refund.proposal_id)
        and (
            ballot.tenant, ballot.case_id, ballot.thread_id, ballot.decision_id, ballot.proposal_id, ballot.digest,
            ballot.order_id, ballot.payment_id, ballot.amount,
        ) == (
            refund.tenant, refund.case_id, refund.thread_id, refund.decision_id, refund.proposal_id, refund.digest,
            refund.order_id, refund.payment_id, refund.amount,
        )
    )  # fmt: skip


def _text_is_the_same(ordered: Row, refund: ApprovedRefund) -> bool:
    """The proposal's text hashes to the signed digest and says the same, and the case is on this thread."""
    if sha256(ordered["body"]) != refund.digest or ordered["case_thread_id"] != refund.thread_id:
        return False
    try:
        proposal = Proposal.of_json(json.loads(ordered["body"]))
    except (ValueError, KeyError, TypeError):
        return False
    return (
        proposal.kind == "refund"
        and (proposal.tenant, proposal.case_id, proposal.thread_id, proposal.proposal_id)
        == (refund.tenant, refund.case_id, refund.thread_id, refund.proposal_id)
        and (proposal.order_id, proposal.payment_id, proposal.amount)
        == (refund.order_id, refund.payment_id, refund.amount)
    )
