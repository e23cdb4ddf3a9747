"""The guard before every send: from a disbursement, what was signed, its sends and the provider's list, whether to
send, to wait, or to ask a person and why. Pure; only what it says `Send` to reaches the processor.

Books can be behind their provider: somebody refunds in its dashboard, a backup is restored, two copies of the books
live at once. So the provider's list is read before each send, and what these books do not know there stops it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cashier.processor import ProviderRefund
from cashier.verification import NotPayable, Payable, UnknownKey
from refunds.ids import DisbursementId, PaymentId, TenantId
from refunds.money import Money
from refunds.vocabulary import ProviderAct, RefundResult, SettlementOutcome

KEY_TRUST = timedelta(hours=20)
"""A provider may forget a key after 24 hours; four hours before that it is trusted no more."""

BROKEN_PATIENCE = timedelta(minutes=5)
"""How long a list may take to show what a saved 5xx may have done, before a person is asked."""

NEW_KEY_AFTER = timedelta(hours=1)
"""After the last send, before a person may give up its key: the list may be far behind. Postgres holds it too."""

LONGEST_PAUSE = timedelta(minutes=5)

REFUND_ID_LIMIT = 255

ENDED: frozenset[SettlementOutcome] = frozenset({"succeeded", "failed", "refused"})


@dataclass(frozen=True, slots=True)
class Sent:
    """One send as the books have it."""

    epoch: int
    age: timedelta


@dataclass(frozen=True, slots=True)
class KnownRefunds:
    """What these books know of the refunds of a payment."""

    paid: Money
    refunded_before_minor: int = 0
    """Refunded elsewhere; the provider lists such refunds without a label of ours."""

    left_minor: int = 0
    """What is left of the payment with everything that is ordered; below zero, something does not fit any more."""

    disputed: bool = False
    """Whether a dispute of the payment is open at the bank."""

    under_way: frozenset[str] = frozenset()
    """Decisions whose disbursement has no end yet."""

    settled: frozenset[str] = frozenset()
    """The provider's ids of refunds that ended a disbursement."""

    named: frozenset[str] = frozenset()
    """The provider's ids of refunds that a person said are another matter."""


@dataclass(frozen=True, slots=True)
class SendFacts:
    """One disbursement as it was read under the lock on its payment."""

    tenant: TenantId
    decision_id: DisbursementId
    payment_id: PaymentId
    amount: Money
    now: datetime
    past_paying: bool
    """Whether the time to pay is over by the clock of the books; the signed time is checked beside it."""

    killed: bool
    verified: Payable | NotPayable | UnknownKey
    sends: Sequence[Sent]
    last: SettlementOutcome | None
    known: KnownRefunds | None
    """None where the payment is not in the books."""

    there: Sequence[ProviderRefund] | None
    """The provider's list of the payment; None where it does not answer."""

    retry_seconds: float = 2.0
    """Base of the pause between two asks for the same refund; doubles up to five minutes."""

    broken_for: timedelta | None = None
    """Since its key answered a definitive 5xx, which the provider repeats."""

    asked: ProviderAct | None = None
    """What a named person asks for."""


@dataclass(frozen=True, slots=True)
class Send:
    """Ask the provider, under the key of this epoch."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing now; a later pass looks again."""

    why: str


@dataclass(frozen=True, slots=True)
class AtProvider:
    """The provider has it, as it was asked for."""

    refund: ProviderRefund


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing was sent and nothing will be."""

    reason: RefundResult


@dataclass(frozen=True, slots=True)
class AskPerson:
    """A named person settles it, knowing why and what was found."""

    why: str


GuardVerdict = Send | Wait | AtProvider | Refuse | AskPerson


def guard(facts: SendFacts) -> GuardVerdict:
    """What may be done about a disbursement now. Only `Send` pays."""
    if facts.there is None or facts.known is None:
        return Wait(
            "the provider does not answer" if facts.there is None else "the payment is not in the books"
        )
    ours = [refund for refund in facts.there if is_labelled(refund, facts.tenant, facts.decision_id)]
    if ours:
        return _found(ours, facts)
    if facts.last in ENDED or facts.last == "pending":
        return Wait(f"its outcome is known: {facts.last}")
    match facts.verified:
        case UnknownKey(kid):
            if not facts.sends and facts.past_paying:
                return Refuse("blocked:expired")
            return Wait(f"it is signed with {kid}, which is not in CASHIER_DESK_KEYS")
        case NotPayable(reason):
            return AskPerson(reason) if facts.sends or facts.last else Refuse(reason)
        case Payable():
            return _verified(facts, facts.verified, facts.known, facts.there)


def _found(ours: Sequence[ProviderRefund], facts: SendFacts) -> GuardVerdict:
    """What the provider lists under our own label."""
    if len(ours) > 1:
        return AskPerson(f"the provider lists {len(ours)} refunds of this order: {refunds_listed(ours)}")
    wrong = why_not_what_was_asked(ours[0], facts)
    return AskPerson(wrong) if wrong else AtProvider(ours[0])


def _verified(
    facts: SendFacts, signed: Payable, known: KnownRefunds, there: Sequence[ProviderRefund]
) -> GuardVerdict:
    """What was signed holds, and the provider lists nothing of it."""
    unknown = unknown_refunds(facts.tenant, there, known)
    if unknown:
        return AskPerson(
            f"the provider has what these books do not know, and it may be this: {refunds_listed(unknown)}"
        )
    if facts.past_paying or signed.refund.execute_by <= facts.now:
        return _stop(facts, "blocked:expired", "it is not at the provider and past its time to pay")
    if known.disputed:
        return AskPerson("a dispute of this payment is open at the bank")
    gone = sum(refund.amount.amount_minor for refund in there if refund.status != "failed")
    if (
        known.left_minor < 0
        or known.paid.currency != facts.amount.currency
        or gone + facts.amount.amount_minor > known.paid.amount_minor
    ):
        return _stop(facts, "blocked:over_refund", "with it more would be refunded than was paid")
    by_person = facts.asked in {"retry", "new_key"}
    if facts.last == "needs_person" and not by_person:
        return Wait("a person settles it")
    stale = _why_the_key_is_no_good(facts)
    if stale and facts.asked != "new_key":
        return AskPerson(stale)
    if facts.killed:
        return Wait("the kill switch is on")
    if not facts.sends:
        return Send(1)
    last = facts.sends[-1]
    if facts.asked == "new_key":
        if last.age < NEW_KEY_AFTER:
            return Wait(
                f"a key is given up {_minutes(NEW_KEY_AFTER)} minutes after it was sent last, not before"
            )
        return Send(last.epoch + 1)
    if facts.broken_for is not None and not by_person:
        return Wait("the provider answered an error, and what it did may not be listed yet")
    pause = min(timedelta(seconds=facts.retry_seconds * 2 ** min(len(facts.sends) - 1, 16)), LONGEST_PAUSE)
    if last.age < pause and not by_person:
        return Wait("it was asked for a moment ago")
    return Send(last.epoch)


def _stop(facts: SendFacts, reason: RefundResult, why: str) -> GuardVerdict:
    """Nothing more is sent: an end where nothing ever was, and a person's matter otherwise."""
    return AskPerson(why) if facts.sends else Refuse(reason)


def _why_the_key_is_no_good(facts: SendFacts) -> str | None:
    """Why the key that was sent last must not be sent again by itself."""
    if not facts.sends:
        return None
    first = next(sent for sent in facts.sends if sent.epoch == facts.sends[-1].epoch)
    if first.age > KEY_TRUST:
        return "it was sent over 20 hours ago and is not at the provider: a second ask might pay twice"
    if facts.broken_for is not None and facts.broken_for >= BROKEN_PATIENCE and facts.asked != "retry":
        return "the provider answers an error to its key and lists no refund of it"
    return None


def is_labelled(refund: ProviderRefund, tenant: TenantId, decision_id: DisbursementId) -> bool:
    """Whether the provider keeps this decision beside the refund."""
    return (refund.tenant, refund.decision_id) == (tenant, str(decision_id))


def why_not_what_was_asked(refund: ProviderRefund, facts: SendFacts) -> str | None:
    """Why an answer or a listed refund is not the refund of this disbursement; None where it is, in every field."""
    if not (0 < len(refund.refund_id) <= REFUND_ID_LIMIT and refund.refund_id.isprintable()):
        return f"the provider names no refund, but an id of {len(refund.refund_id)} characters"
    if not is_labelled(refund, facts.tenant, facts.decision_id):
        return f"{refund.refund_id} is of another decision or tenant"
    if refund.payment_id != facts.payment_id:
        return f"{refund.refund_id} is of another payment: {refund.payment_id[:100]}"
    if refund.amount != facts.amount:
        return f"{refund.refund_id} is of {refund.amount}, and {facts.amount} was ordered"
    return None


def unknown_refunds(
    tenant: TenantId, there: Sequence[ProviderRefund], known: KnownRefunds
) -> list[ProviderRefund]:
    """The refunds at the provider that these books do not know: with no label of theirs, or one that they lost."""
    strange = [
        refund
        for refund in there
        if refund.status != "failed"
        and refund.refund_id not in known.settled | known.named
        and not (refund.tenant == tenant and refund.decision_id in known.under_way)
    ]
    nameless = sum(refund.amount.amount_minor for refund in strange if not refund.decision_id)
    if nameless <= known.refunded_before_minor:
        return [refund for refund in strange if refund.decision_id]
    return strange


def refunds_listed(refunds: Sequence[ProviderRefund]) -> str:
    """Refunds of the provider in a sentence."""
    shown = ", ".join(f"{one.refund_id[:60]} ({one.amount}, {one.status})" for one in refunds[:4])
    return shown + (f" and {len(refunds) - 4} more" if len(refunds) > 4 else "")


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds() // 60)
