"""A denial rests on what the words say, never on what they leave out: where an exception of the clause is open, a person reads."""

import json
from dataclasses import replace

import pytest
from policy_kit import claim, order, rules
from stage import Stage

from policies.clauses import Bar, Deny, RuleInForce, judgement_of
from policies.letter_templates import Because
from policies.reading import trained_reader
from policies.request import request_of
from refunds.order import CustomerOrder, OrderFacts
from refunds.ticket import Ticket

PLAIN = [
    "I changed my mind about the tablet and want a refund.",
    "I'd like to return this, please. It doesn't fit.",
    "I don’t need it any longer. Order D300.",
    "Refund please",
    "Can I get my money back? I bought it by mistake three weeks ago.",
]
OPEN = [
    "The tablet arrived ripped.",
    "The flowers were wilted when they came, I want a refund.",
    "One key is dead.",
    "It smells. I want my money back.",
    "Der Bildschirm flackert.",
    "It is not what the picture shows.",
    "The seal was never opened, I want to return it.",
    "It won't work, please refund me.",
    "I can't get it to work.",
    "Something is off with it.",
    "It came in two.",
    "It does not do what it should. Refund, please.",
    "I got it 💔",
]


def barred(**stated: object) -> RuleInForce:
    rule = {"rule": "excluded-category", "clause": "1", "categories": ["tablet"], **stated}
    return RuleInForce("excluded-category", rule, rules()[0].citation)


def said_of(facts: OrderFacts, text: str, *more: RuleInForce) -> object:
    own = CustomerOrder(facts.order_id, facts.status, facts.ordered_at, facts.lines)
    ticket = Ticket.read(
        {
            "ticket_id": "t",
            "tenant": "demo",
            "customer_id": "C100",
            "question": text,
            "intent": "refund_request",
        }
    )
    request = request_of(trained_reader().read([text], [own], own.order_id), ticket, own.order_id)
    read = replace(claim(facts), says_damaged=request.damaged, cause_open=request.cause_open)
    found = judgement_of(read, [*rules(), *more])
    return found and found.verdict


@pytest.mark.parametrize("text", PLAIN)
def test_an_exclusion_denies_a_change_of_mind_and_names_its_exception(text: str) -> None:
    assert said_of(order("D300", 3), text, barred()) == Bar(
        Because.of("because.excluded_unless_damaged", item="Tablet"),
        unless_damaged=True,
    )


@pytest.mark.parametrize("text", OPEN)
def test_words_that_may_mean_damage_deny_nothing(text: str) -> None:
    assert not isinstance(said_of(order("D300", 3), text, barred()), Bar | Deny)
    assert not isinstance(said_of(order("D300", 20), text), Bar | Deny), "within the window for damage"


@pytest.mark.parametrize("text", OPEN)
def test_what_no_exception_of_the_policy_would_lift_is_denied_whatever_the_words_mean(text: str) -> None:
    assert isinstance(said_of(order("D300", 300), text), Deny)
    assert isinstance(said_of(order("D300", 3), text, barred(unless_damaged=False)), Bar)


def test_without_the_exception_nothing_of_it_is_said() -> None:
    assert said_of(order("D300", 3), PLAIN[0], barred(unless_damaged=False)) == Bar(
        Because.of("because.excluded", item="Tablet")
    )


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("I changed my mind about the bottle and want a refund.", "reply", "draft_ready_for_review"),
        ("The bottle has a funny taste. I want a refund.", "handoff", "unclear_request"),
    ],
)
async def test_a_person_reads_the_case_with_the_clause_beside_it(
    stage: Stage, text: str, kind: str, reason: str
) -> None:
    await stage.forced(
        "update books.orders set lines = jsonb_set(lines, '{0}', lines->0 || %s::jsonb) where order_id = 'D300'",
        json.dumps({"name": "Bottle", "category": "personal-care"}),
    )
    _, state = await stage.paused(question=text, items=["SKU-1"])
    proposal = state["proposal"]
    assert isinstance(proposal, dict)
    assert (proposal["kind"], state["reason"]) == (kind, reason)
    assert "hygiene-goods-v1" in str(state["citations"])


async def test_a_window_does_not_close_over_the_time_that_the_house_takes(stage: Stage) -> None:
    case = await stage.submit(
        question="I changed my mind about the tablet and want a refund.", items=["SKU-1"]
    )
    await stage.forced(
        "update books.orders set delivered_at = (select received_at from books.cases) - interval '13 days 23 hours' where order_id = 'D300'"
    )
    await stage.move_clock(days=5)
    proposal = (await stage.run(case))["proposal"]
    assert isinstance(proposal, dict) and proposal["kind"] == "refund", proposal


@pytest.mark.parametrize(
    "text",
    [
        "I don’t want a refund! Please just send me the missing charger.",
        "The tablet arrived cracked. Please do not refund my order.",
        "The tablet arrived cracked. No need to give me a refund, a new cable is enough.",
        "The tablet arrived cracked. I would like a replacement instead of a refund.",
    ],
)
async def test_who_says_no_to_a_refund_is_offered_none(stage: Stage, text: str) -> None:
    _, state = await stage.paused(question=text, items=["SKU-1"])
    proposal = state["proposal"]
    assert isinstance(proposal, dict)
    assert (proposal["kind"], state["reason"]) == ("handoff", "unclear_request")
