"""Verification: a disbursement is paid only if what was signed says so, field by field. Pure.

The books are not trusted here: an administrator can write a row, and cannot sign one. The public keys
come from the cashier's own configuration.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policies.authority import rule_of, rules_for
from policies.signature import PublicKeys
from refunds.canonical import digest, sha256
from refunds.decision import Ballot
from refunds.ids import PersonId, id_of_leg
from refunds.legs import Leg
from refunds.proposal import Proposal
from refunds.refund import ApprovedRefund
from refunds.terms import Terms
from refunds.vocabulary import RefundResult

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Payable:
    """A refund whose signatures hold."""

    refund: ApprovedRefund
    number: int
    """Which of its payments this disbursement goes to, from 1."""

    @property
    def leg(self) -> Leg:
        """The payment and what of the refund goes back to it."""
        return self.refund.terms.parts[self.number - 1]

    def key(self, epoch: int) -> str:
        """The idempotency key of an epoch: of the signed terms alone, so that every copy of the books makes the same.

        Who signed, when and with which key is not in it: two copies of the books may differ in that.
        """
        terms = self.refund.terms
        names = (terms.case_id, terms.thread_id, terms.decision_id, terms.proposal_id)
        money = (terms.order_id, self.leg.payment_id, self.leg.amount.amount_minor, terms.amount.currency)
        hashed = digest([terms.tenant, *map(str, names), terms.digest, *money])
        return f"{terms.tenant}:{terms.decision_id}:{self.number}:{epoch}:{hashed[:32]}"


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
    proposed = _proposed(ordered)
    if proposed is None:
        return NotPayable("blocked:approval_mismatch")
    ballots = [ballot_of(vote, proposed.legs) for vote in approvals]
    if not all(_is_signed(vote, ballot, keys) for vote, ballot in zip(approvals, ballots, strict=True)):
        return NotPayable("blocked:approval_mismatch")
    terms = Terms.of_row(
        {
            **ordered,
            "decision_id": ordered["decided_id"],
            "payment_id": ordered["first_payment_id"],
            "amount_minor": ordered["decided_minor"],
        },
        proposed.legs,
    )
    number = _leg_of(ordered, terms)
    if any(ballot.terms != terms for ballot in ballots) or terms != proposed or number is None:
        return NotPayable("blocked:approval_mismatch")
    rule = rule_of(terms.amount, rules_for(terms.tenant, [terms.amount.currency]))
    people = {ballot.person for ballot in ballots}
    specialists = {ballot.person for ballot in ballots if ballot.authority == "specialist"}
    if rule is None or len(people) < rule.approvals or len(specialists) < rule.specialists:
        return NotPayable("blocked:not_approved")
    return Payable(ApprovedRefund(terms, min(ballot.execute_by for ballot in ballots)), number)


def _leg_of(ordered: Row, terms: Terms) -> int | None:
    """Which of the payments of these terms a disbursement goes to, by its name, payment and amount; None where none."""
    for number, leg in enumerate(terms.parts, start=1):
        if (leg.payment_id, leg.amount.amount_minor) == (ordered["payment_id"], ordered["amount_minor"]):
            return number if ordered["decision_id"] == id_of_leg(terms.decision_id, number) else None
    return None


def ballot_of(vote: Row, legs: Sequence[Leg]) -> Ballot:
    """What was signed, from the columns of a vote and the payments of its proposal."""
    return Ballot(
        kid=vote["kid"],
        terms=Terms.of_row(vote, legs),
        word=vote["word"],
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
        and keys.speaks_for(kid, ballot.terms.tenant)
    )


def _proposed(ordered: Row) -> Terms | None:
    """The terms of the kept proposal, on the thread of its case; None where it proposes no refund."""
    try:
        proposal = Proposal.of_json(json.loads(ordered["body"]))
    except (ValueError, KeyError, TypeError):
        return None
    if proposal.kind != "refund" or ordered["case_thread_id"] != proposal.thread_id:
        return None
    return Terms.of_proposal(proposal, sha256(ordered["body"]))
