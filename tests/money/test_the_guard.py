"""The guard before every send, over its whole domain: each way a disbursement can stand, and each thing a list can say."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import pytest

from cashier.guard import (
    BROKEN_PATIENCE,
    ENDED,
    KEY_TRUST,
    NEW_KEY_AFTER,
    AskPerson,
    AtProvider,
    GuardVerdict,
    KnownRefunds,
    Refuse,
    Send,
    SendFacts,
    Sent,
    Wait,
    guard,
    unknown_refunds,
    why_not_what_was_asked,
)
from cashier.processor import ProviderRefund
from cashier.verification import NotPayable, Payable, UnknownKey
from refunds.ids import (
    CaseId,
    DecisionId,
    DisbursementId,
    OrderId,
    PaymentId,
    ProposalId,
    TenantId,
    ThreadId,
)
from refunds.money import Currency, Money
from refunds.refund import ApprovedRefund
from refunds.terms import Terms
from refunds.vocabulary import ProviderAct, SettlementOutcome

NOW = datetime(2026, 11, 1, tzinfo=UTC)
USD = Currency("USD")
TENANT, PAYMENT = TenantId("demo"), PaymentId("pay_1")
OURS, SISTER, LOST = (UUID(int=number) for number in (1, 2, 3))
AMOUNT = Money(3_000, USD)


def signed(execute_by: datetime = NOW + timedelta(hours=1)) -> Payable:
    return Payable(
        ApprovedRefund(
            Terms(
                TENANT, CaseId(OURS), ThreadId(OURS), DecisionId(OURS), ProposalId(OURS), "0" * 64, "refund", PAYMENT,
                OrderId("O"), AMOUNT,
            ),
            execute_by,
        ),
        1,
    )  # fmt: skip


def refund(
    decision: UUID | None,
    refund_id: str = "re_1",
    amount: int = 3_000,
    status: Any = "succeeded",
    **more: Any,
) -> ProviderRefund:
    label = str(decision) if decision else ""
    made = ProviderRefund(refund_id, TENANT, label, PAYMENT, Money(amount, USD), status)
    return replace(made, **more)


# What the provider may list, and what that is to a disbursement whose books know SISTER as under way.
LISTS: dict[str, list[ProviderRefund] | None] = {
    "silent": None,
    "nothing": [],
    "a sister that is under way": [refund(SISTER)],
    "a failed one of nobody": [refund(None, status="failed")],
    "ours": [refund(OURS)],
    "ours, pending": [refund(OURS, status="pending")],
    "ours, failed": [refund(OURS, status="failed")],
    "ours twice": [refund(OURS), refund(OURS, "re_2")],
    "ours of another amount": [refund(OURS, amount=2_999)],
    "ours of another payment": [refund(OURS, payment_id=PaymentId("pay_2"))],
    "ours without an id": [refund(OURS, "")],
    "one of the dashboard": [refund(None)],
    "one of a decision that is lost": [refund(LOST)],
    "one of another tenant": [refund(SISTER, tenant="other")],
    "ours and one of the dashboard": [refund(OURS), refund(None, "re_2")],
    "so much that it is too much": [refund(SISTER, amount=8_000)],
}
UNKNOWN = {
    "one of the dashboard",
    "one of a decision that is lost",
    "one of another tenant",
}
WRONG = {"ours twice", "ours of another amount", "ours of another payment", "ours without an id"}

SENDS: dict[str, list[Sent]] = {
    "never": [],
    "just now": [Sent(1, timedelta(seconds=1))],
    "a minute ago": [Sent(1, timedelta(minutes=1))],
    "two hours ago": [Sent(1, timedelta(hours=2))],
    "a day ago": [Sent(1, timedelta(hours=24))],
    "a day ago, and with a new key just now": [Sent(1, timedelta(hours=24)), Sent(2, timedelta(seconds=1))],
    "a day ago and a minute ago, one key": [Sent(1, timedelta(hours=24)), Sent(1, timedelta(minutes=1))],
}
VERIFIED: dict[str, Payable | NotPayable | UnknownKey] = {
    "signed": signed(),
    "signed, and its time is over": signed(NOW),
    "not approved": NotPayable("blocked:not_approved"),
    "another key": UnknownKey("desk-9"),
}
ASKED: tuple[ProviderAct | None, ...] = (None, "retry", "new_key")
LASTS: tuple[SettlementOutcome | None, ...] = (None, *get_args(SettlementOutcome))
BROKEN = (None, timedelta(minutes=1), BROKEN_PATIENCE)


def domain() -> Iterator[tuple[str, str, str, SendFacts]]:
    """Every combination of what the guard looks at."""
    for (what, there), (when, sends), (how, verified), last, asked, broken, killed, past in product(
        LISTS.items(), SENDS.items(), VERIFIED.items(), LASTS, ASKED, BROKEN, (False, True), (False, True)
    ):
        yield (
            what,
            when,
            how,
            SendFacts(
                tenant=TENANT,
                decision_id=DisbursementId(OURS),
                payment_id=PAYMENT,
                amount=AMOUNT,
                now=NOW,
                past_paying=past,
                killed=killed,
                verified=verified,
                sends=sends,
                last=last,
                known=KnownRefunds(Money(10_000, USD), under_way=frozenset({str(OURS), str(SISTER)})),
                there=there,
                broken_for=broken if sends else None,
                asked=asked,
            ),
        )


def test_money_goes_only_where_nothing_speaks_against_it() -> None:
    """Said a second time, from the other side: what must be true of each send, and that nothing else is sent."""
    seen: dict[type[GuardVerdict], int] = {}
    for what, when, how, facts in domain():
        said = guard(facts)
        seen[type(said)] = seen.get(type(said), 0) + 1
        person = facts.asked is not None
        free = (
            what in {"nothing", "a sister that is under way", "a failed one of nobody"}
            and how == "signed"
            and not facts.past_paying
            and not facts.killed
            and (facts.last is None or (facts.last == "needs_person" and person))
        )
        sends = facts.sends
        if not sends:
            may: object = Send(1)
        elif facts.asked == "new_key":
            may = Send(sends[-1].epoch + 1) if sends[-1].age >= NEW_KEY_AFTER else None
        else:
            first = next(one for one in sends if one.epoch == sends[-1].epoch)
            fresh = first.age <= KEY_TRUST
            rested = person or sends[-1].age >= timedelta(seconds=2 * 2 ** (len(sends) - 1))
            whole = facts.broken_for is None or facts.asked == "retry"
            may = Send(sends[-1].epoch) if fresh and rested and whole else None
        assert (said if isinstance(said, Send) else None) == (may if free else None), (what, when, how, facts)
    assert set(seen) == {Send, Wait, AtProvider, Refuse, AskPerson}


def test_what_the_provider_has_is_found_whatever_the_books_say_of_it() -> None:
    for what, _, _, facts in domain():
        said = guard(facts)
        ours = what.startswith("ours") and what not in WRONG
        assert isinstance(said, AtProvider) == ours, (what, facts)
        if what in WRONG:
            assert isinstance(said, AskPerson)
        if what == "silent":
            assert said == Wait("the provider does not answer")


def test_what_these_books_do_not_know_stops_every_send_and_is_a_persons() -> None:
    for what, _, how, facts in domain():
        if what in UNKNOWN and how.startswith("signed") and facts.last in {None, "needs_person"}:
            said = guard(facts)
            assert isinstance(said, AskPerson) and "re_1 (30.00 USD" in said.why, (what, facts)


def test_nothing_is_refused_that_was_ever_sent() -> None:
    """A refusal frees the money for another refund: it must never stand beside a send that may still arrive."""
    for _, _, _, facts in domain():
        if isinstance(guard(facts), Refuse):
            assert not facts.sends
            assert facts.last in {None, "needs_person"}
        if facts.last in ENDED:
            assert isinstance(guard(facts), Wait | AtProvider | AskPerson)


def test_a_payment_that_is_not_in_the_books_waits() -> None:
    facts = next(facts for what, *_, facts in domain() if what == "nothing")
    assert guard(replace(facts, known=None)) == Wait("the payment is not in the books")
    other = KnownRefunds(Money(10_000, Currency("EUR")))
    assert guard(replace(facts, known=other)) == Refuse("blocked:over_refund")


@pytest.mark.parametrize(
    ("there", "known", "unknown"),
    [
        ([refund(None)], KnownRefunds(AMOUNT), ["re_1"]),
        ([refund(None)], KnownRefunds(AMOUNT, refunded_before_minor=3_000), []),
        ([refund(None), refund(None, "re_2", 1)], KnownRefunds(AMOUNT, refunded_before_minor=3_000), ["re_1", "re_2"]),
        ([refund(None)], KnownRefunds(AMOUNT, named=frozenset({"re_1"})), []),
        ([refund(LOST)], KnownRefunds(AMOUNT, refunded_before_minor=3_000), ["re_1"]),
        ([refund(LOST)], KnownRefunds(AMOUNT, settled=frozenset({"re_1"})), []),
        ([refund(LOST)], KnownRefunds(AMOUNT, under_way=frozenset({str(LOST)})), []),
        ([refund(LOST, tenant="other")], KnownRefunds(AMOUNT, under_way=frozenset({str(LOST)})), ["re_1"]),
        ([refund(LOST, status="failed")], KnownRefunds(AMOUNT), []),
    ],
)  # fmt: skip
def test_what_counts_as_unknown(
    there: Sequence[ProviderRefund], known: KnownRefunds, unknown: list[str]
) -> None:
    assert [one.refund_id for one in unknown_refunds(TENANT, there, known)] == unknown


@pytest.mark.parametrize(
    "answer",
    [
        refund(SISTER),
        refund(None),
        refund(OURS, tenant="other"),
        refund(OURS, payment_id=PaymentId("pay_2")),
        refund(OURS, amount=3_001),
        refund(OURS, amount=2_999),
        replace(refund(OURS), amount=Money(3_000, Currency("EUR"))),
        refund(OURS, ""),
        refund(OURS, "r" * 5_000),
        refund(OURS, "re\x00"),
    ],
)
def test_an_answer_counts_only_as_what_was_asked(answer: ProviderRefund) -> None:
    facts = next(facts for what, *_, facts in domain() if what == "nothing")
    assert why_not_what_was_asked(answer, facts) is not None
    assert why_not_what_was_asked(refund(OURS), facts) is None


def test_the_key_follows_from_the_signed_terms_and_the_epoch_alone() -> None:
    """Two copies of the books hold other ballots of one decision; the provider must see one key."""
    one, other = signed(), signed(NOW + timedelta(days=3))
    assert one.key(1) == other.key(1) != one.key(2)
    assert str(OURS) in one.key(1) and one.key(1).startswith("demo:")
    dearer = Payable(replace(one.refund, terms=replace(one.refund.terms, amount=Money(3_001, USD))), 1)
    assert dearer.key(1) != one.key(1)


def test_nothing_but_the_executor_calls_the_processor_and_it_does_so_once() -> None:
    """Broken? A second way to the provider's money was written: let it go through the guard."""
    root = Path(__file__).parents[2]
    calls = [
        f"{file.relative_to(root)}"
        for folder in (
            "cashier",
            "desk",
            "graph",
            "tools",
            "records",
            "runtime",
            "app",
            "evals",
            "cli",
            "deploy",
        )
        for file in (root / folder).rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if "processor.refund(" in line
    ]
    assert calls == ["cashier/executor.py"]
    text = (root / "cashier/executor.py").read_text(encoding="utf-8")
    assert text.count("self._send(") == 1 and text.count("guard(facts)") == 2
