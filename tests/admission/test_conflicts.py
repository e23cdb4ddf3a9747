"""A clause that forbids what another gives: the case is a person's, with both clauses before them."""

import pytest
from stage import Stage

from policies.conflicts import conflict_with
from refunds.evidence import Citation, Grounded

RULE = Citation("returns-v1", "returns", 1, "2", "Items may be returned within 14 days of delivery.")


def clause(quote: str, document: str = "notes") -> Citation:
    return Citation(f"{document}-v1", document, 1, "1", quote)


@pytest.mark.parametrize(
    "quote",
    [
        "While a dispute is open at your bank we cannot refund the same payment ourselves.",
        "Food, flowers and plants cannot be returned for a change of mind.",
        "A month that has begun is not refunded.",
        "With the gift receipt the value is paid out as a gift card.",
        "There are no refunds on tickets.",
        "Without a gift receipt only the person who ordered can return it.",
    ],
)
def test_the_best_clause_binds_where_it_forbids(quote: str) -> None:
    found = clause(quote)
    assert conflict_with(Grounded((found, RULE)), RULE, [RULE]) == found
    assert conflict_with(Grounded((RULE, found)), RULE, [RULE]) is None, "it was not what fits best"
    assert conflict_with(Grounded((found,), by_rule=True), RULE, [RULE]) is None
    assert conflict_with(Grounded((found,)), RULE, [RULE, clause("", "notes")]) is None, (
        "its own rule was asked"
    )


@pytest.mark.parametrize(
    "quote",
    [
        "Items that you no longer want may be returned for a refund within 14 days.",
        "The country on an invoice cannot be corrected.",
        "We cancel an order when the item cannot be had, and give back all that was paid.",
    ],
)
def test_a_clause_that_forbids_no_refund_is_no_conflict(quote: str) -> None:
    assert conflict_with(Grounded((clause(quote), RULE)), RULE, [RULE]) is None


GIFT = "I want to return a birthday gift I received"


async def test_a_refund_that_the_best_clause_forbids_is_a_persons_with_both(stage: Stage) -> None:
    await stage.sql(
        "update books.orders set delivered_at = books.clock() - interval '3 days' where order_id = 'D300'"
    )
    _, state = await stage.paused(question=GIFT)
    assert (state["status"], state["reason"]) == ("needs_human", "policy_conflict"), state["citations"]
    assert state["proposal"]["kind"] == "handoff"  # type: ignore[index]
    assert state["citations"] == ["gift-returns-v1", "return-policy-us-v3"]
