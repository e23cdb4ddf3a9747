"""A stranger's requests by their words alone: of its own order, and of each other order of the same customer."""

from collections.abc import Callable
from typing import Any

from evals.tau2 import Exam, ExpectedRefund, copies_of, why_it_waited
from records.states import State


async def by_words(exam: Exam, number: int, task: ExpectedRefund) -> list[dict[str, object]]:
    """A request by customer, order and text alone: on its own order, and on each other one of its customer."""
    copies, text = copies_of(exam.shop, task.text_alone, task.order_id, str(number))
    rows: list[dict[str, object]] = []
    due = {one.order_id for one in exam.shop.expected if one.text_alone == task.text_alone}
    for place, order in enumerate(copies):
        if place and order.order_id.rpartition("/")[0] in due:
            continue  # the same words ask for something of this one, too
        ticket: dict[str, object] = {
            "ticket_id": f"words-{number}-{place}",
            "customer_id": order.customer_id,
            "order_id": order.order_id,
            "question": text,
        }
        state, amount, method = await exam.decide(ticket, says_yes=False)
        end = _read_as(state, amount, exact=(amount, method) == (task.amount_minor, task.method))
        rows.append(
            {
                "name": task.name,
                "order_id": order.order_id,
                "its_own": place == 0,
                "end": end,
                "why": why_it_waited(state) if end == "handed_over" else "",
            }
        )
    return rows


def _read_as(state: State, amount: int, *, exact: bool) -> str:
    """What came of a request that has nothing but words."""
    proposal: Any = state["proposal"]
    if amount:
        return "right" if exact else "wrong"
    return "asked" if proposal is not None and proposal["question"] else "handed_over"


async def score_words(
    exam: Exam, said: Callable[[int, int], None]
) -> tuple[list[dict[str, object]], dict[str, int]]:
    """Every request by its words alone, and the sums: of its own order, and of other orders that it was attached to."""
    rows: list[dict[str, object]] = []
    for number, task in enumerate(exam.shop.expected):
        rows += await by_words(exam, number, task)
        said(number + 1, len(exam.shop.expected))
    own = [row["end"] for row in rows if row["its_own"]]
    other = [row["end"] for row in rows if not row["its_own"]]
    sums = {"cases": len(own)} | {end: own.count(end) for end in ("right", "wrong", "asked", "handed_over")}
    elsewhere = {
        "elsewhere": len(other),
        "elsewhere_proposed": sum(end in {"right", "wrong"} for end in other),
    }
    return rows, sums | elsewhere
