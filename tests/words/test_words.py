"""The words: money, canonical text, tickets, proposals. Frozen, and no float near money."""

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.canonical import canonical, digest
from refunds.decision import Decision
from refunds.ids import (
    NO_ORDER,
    NO_PAYMENT,
    CaseId,
    LineId,
    OrderId,
    PaymentId,
    PersonId,
    ProposalId,
    TenantId,
    ThreadId,
    decision_of,
)
from refunds.money import NOTHING, Currency, CurrencyMismatch, Money
from refunds.order import Units
from refunds.proposal import Proposal
from refunds.refund import NotARefund, approved
from refunds.terms import Terms
from refunds.ticket import BadTicket, Ticket
from refunds.vocabulary import ProposalKind, VoteWord

USD = Currency("USD")
amounts = st.integers(min_value=0, max_value=10**9)
plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(amounts, amounts)
def test_money_adds_and_compares_as_integers_do(one: int, other: int) -> None:
    assert (Money(one, USD) + Money(other, USD)).amount_minor == one + other
    assert (Money(one, USD) <= Money(other, USD)) == (one <= other)


@pytest.mark.parametrize("amount", [-1, 10**12 + 1])
def test_an_amount_has_bounds(amount: int) -> None:
    with pytest.raises(ValueError, match="bounds"):
        Money(amount, USD)


@pytest.mark.parametrize("amount", [1.0, "1", True, None])
def test_an_amount_is_an_integer(amount: Any) -> None:
    with pytest.raises(TypeError):
        Money(amount, USD)


def test_two_currencies_neither_add_nor_compare() -> None:
    with pytest.raises(CurrencyMismatch):
        Money(1, USD) + Money(1, Currency("EUR"))
    with pytest.raises(CurrencyMismatch):
        assert Money(1, USD) <= Money(1, Currency("EUR"))


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(7_900, USD), "79.00 USD"),
        (Money(5, USD), "0.05 USD"),
        (Money(500, Currency("JPY")), "500 JPY"),
        (Money(1_234, Currency("KWD")), "1.234 KWD"),
    ],
)
def test_money_is_shown_by_its_currency(money: Money, text: str) -> None:
    assert str(money) == text


@given(plain_json)
def test_canonical_text_is_ascii_and_reads_back(value: Any) -> None:
    text = canonical(value)
    assert text.isascii()
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_change_a_digest(value: dict[str, int]) -> None:
    assert digest(value) == digest(dict(reversed(value.items())))


@pytest.mark.parametrize("value", [1.5, {"a": [0.1]}, float("nan")])
def test_a_float_has_no_canonical_form(value: object) -> None:
    with pytest.raises(TypeError):
        canonical(value)


def a_proposal(**changed: Any) -> Proposal:
    whole: dict[str, Any] = {
        "tenant": TenantId("demo"),
        "proposal_id": ProposalId(UUID(int=1)),
        "case_id": CaseId(UUID(int=2)),
        "thread_id": ThreadId(UUID(int=3)),
        "kind": "refund",
        "reason": "draft_ready_for_review",
        "order_id": OrderId("D300"),
        "payment_id": PaymentId("p"),
        "amount": Money(7_900, USD),
        "draft": "Hello",
        "citations": (),
        "units": (Units(LineId("1"), 1),),
        "rule": "change-of-mind",
        "release": "r",
        "graph_version": "1",
    }
    return Proposal(**(whole | changed))


def test_a_proposal_is_what_its_body_says() -> None:
    proposal = a_proposal()
    assert Proposal.of_json(json.loads(proposal.body())) == proposal


@pytest.mark.parametrize(
    "changed",
    [
        {"amount": Money(7_901, USD)},
        {"amount": Money(7_900, Currency("EUR"))},
        {"draft": "Hello!"},
        {"payment_id": PaymentId("q")},
        {"units": ()},
        {"case_id": CaseId(UUID(int=9))},
        {"reason": "other"},
    ],
)
def test_every_field_of_a_proposal_is_in_its_digest(changed: dict[str, Any]) -> None:
    assert a_proposal(**changed).digest() != a_proposal().digest()


@pytest.mark.parametrize(
    "changed",
    [
        {"amount": NOTHING},
        {"kind": "reply"},
        {"order_id": NO_ORDER},
        {"payment_id": NO_PAYMENT},
        {"draft": "x" * 6_001},
        {"draft": "bell \x07"},
        {"edited_upward": True},
    ],
)
def test_a_proposal_that_contradicts_itself_cannot_be_made(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"refund|draft|edit"):
        a_proposal(**changed)


def test_values_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        a_proposal().amount = NOTHING  # type: ignore[misc]


def test_a_proposal_has_one_decision() -> None:
    assert decision_of(ProposalId(UUID(int=1))) == decision_of(ProposalId(UUID(int=1)))
    assert decision_of(ProposalId(UUID(int=1))) != decision_of(ProposalId(UUID(int=2)))


@given(plain_json)
def test_any_json_is_a_ticket_or_a_bad_one(value: object) -> None:
    try:
        Ticket.read(value)
    except BadTicket as error:
        assert str(error)


@given(st.text(min_size=1, max_size=200))
def test_any_text_in_a_question_is_kept_as_it_came(text: str) -> None:
    fields = {"ticket_id": "t", "tenant": "demo", "customer_id": "C", "order_id": None, "text": text}
    try:
        ticket = Ticket.read(fields)
    except BadTicket as error:
        assert "question" in str(error) or "text" in str(error)
        return
    assert ticket.question == text
    assert Ticket.parse(canonical(ticket.to_json())) == ticket


WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("kind", get_args(ProposalKind))
@pytest.mark.parametrize("word", get_args(VoteWord))
def test_only_an_approved_refund_may_be_ordered(kind: ProposalKind, word: VoteWord) -> None:
    decision = Decision(
        terms=Terms(
            tenant=TenantId("t"),
            case_id=CaseId(UUID(int=2)),
            thread_id=ThreadId(UUID(int=3)),
            decision_id=decision_of(ProposalId(UUID(int=1))),
            proposal_id=ProposalId(UUID(int=1)),
            digest="0" * 64,
            kind=kind,
            payment_id=PaymentId("p"),
            order_id=OrderId("o"),
            amount=Money(7_900, USD),
        ),
        word=word,
        decided_by=PersonId("p"),
        decided_at=WHEN,
        execute_by=WHEN,
        code=None,
        revised_amount_minor=None,
        revised_units=None,
        revised_reply=None,
        letter=None,
        instruction=None,
        asks=None,
    )
    if (kind, word) == ("refund", "approve"):
        assert approved(decision).terms == decision.terms
        return
    with pytest.raises(NotARefund):
        approved(decision)
