"""Limits that nobody would miss until they are gone: each one holds at its edge, and is red without it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from stage import Stage

from graph.model.asking import has_slot
from graph.model.messages import CUSTOMER_LIMIT, QUOTE_LIMIT, QUOTES, quotes_shown, written_data
from graph.model.providers import Provider
from policies.actions import TIERS, GetPolicyEvidence, LookupOrder
from policies.budget import Limits
from policies.spending import SpendLimit, SpendLimits, SpentSums, Sum, weigh
from records.books import Books, BooksAway
from records.model_calls import Load
from refunds.evidence import Citation
from refunds.ids import CaseId, CustomerId, OrderId, TenantId
from refunds.masking import NOBODY
from refunds.order import OrderFacts
from refunds.trace import TraceEvent
from tools import gateway
from tools.gateway import CALLS_A_MINUTE, CALLS_A_RUN, MINUTE_SECONDS, Gateway, ToolContext

PLENTY = SpendLimit(tokens=10**9, cost_micros=10**9)
SPEND_LIMITS = SpendLimits(
    customer_day=PLENTY,
    tenant_day=PLENTY,
    tenant_month=SpendLimit(tokens=10**9, cost_micros=10_000),
    warn_percent=100,
)


@pytest.mark.parametrize(
    ("spent", "near"),
    [(Sum(800, 0), False), (Sum(801, 0), True), (Sum(0, 400), False), (Sum(0, 401), True)],
)
def test_a_day_that_is_nearly_spent_is_said_by_tokens_as_by_cost(spent: Sum, near: bool) -> None:
    day = SpendLimit(tokens=1_000, cost_micros=500)
    spend_limits = SPEND_LIMITS.model_copy(update={"tenant_day": day, "warn_percent": 80})
    weighed = weigh(spend_limits, SpentSums(tenant_day=spent), Sum())
    assert (weighed.reason, bool(weighed.detail)) == (None, near)


@dataclass(frozen=True)
class Step:
    tokens: int
    latency_ms: int
    cost_micros: int


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ([], Limits(4, 900, 1_200, 50)),
        ([Step(300, 100, 7), Step(20, 10, 3)], Limits(2, 580, 1_090, 40)),
        ([Step(900, 1_200, 50)], Limits(3, 0, 0, 0)),
        ([Step(901, 1_201, 51)] * 5, Limits(0, 0, 0, 0)),
    ],
)
def test_what_steps_leave_of_a_run_is_what_they_did_not_spend(steps: list[Step], left: Limits) -> None:
    assert Limits(4, 900, 1_200, 50).left(steps) == left


def test_what_calls_leave_of_a_step_is_what_they_did_not_spend() -> None:
    limits = Limits(4, 900, 1_200, 50)
    assert limits.less(Sum(300, 7), 100) == Limits(4, 600, 1_100, 43)
    assert limits.less(Sum(901, 51), 1_201) == Limits(4, 0, 0, 0)


@pytest.mark.parametrize(
    ("spent", "alerts", "throttled"),
    [
        (0, (), False),
        (4_999, (), False),
        (5_000, (50,), False),
        (7_999, (50,), False),
        (8_000, (50, 80), True),
        (10_000, (50, 80), True),
    ],
)
def test_a_month_tells_of_its_half_and_throttles_at_four_fifths(
    spent: int, alerts: tuple[int, ...], throttled: bool
) -> None:
    weighed = weigh(SPEND_LIMITS, SpentSums(tenant_month=Sum(0, spent)), Sum())
    assert (weighed.reason, weighed.alerts, weighed.throttled) == (None, alerts, throttled)


PROVIDER = Provider(concurrency=8, requests_per_minute=40, tokens_per_minute=4_000)
IDLE = Load(in_flight=0, requests=0, tokens=0, failures=0, failed_seconds_ago=None)


@pytest.mark.parametrize(
    ("load", "throttled", "takes"),
    [
        (IDLE, False, True),
        (replace(IDLE, in_flight=7), False, True),
        (replace(IDLE, in_flight=8), False, False),
        (replace(IDLE, in_flight=1), True, True),
        (replace(IDLE, in_flight=2), True, False),
        (replace(IDLE, requests=39), False, True),
        (replace(IDLE, requests=40), False, False),
        (replace(IDLE, requests=9), True, True),
        (replace(IDLE, requests=10), True, False),
        (replace(IDLE, tokens=3_900), False, True),
        (replace(IDLE, tokens=3_901), False, False),
        (replace(IDLE, tokens=900), True, True),
        (replace(IDLE, tokens=901), True, False),
    ],
)
def test_an_endpoint_takes_so_many_calls_requests_and_tokens_a_minute(
    load: Load, throttled: bool, takes: bool
) -> None:
    assert has_slot(PROVIDER, load, 100, throttled=throttled) is takes


def test_one_call_always_fits_into_a_minute_that_is_empty() -> None:
    assert has_slot(PROVIDER, IDLE, 10**6, throttled=True)


CASE = CaseId(UUID(int=1))


@pytest.mark.parametrize("over", [0, 1, 5_000])
def test_of_a_customers_words_a_model_sees_so_many(over: int) -> None:
    words = "".join(chr(97 + number % 26) for number in range(CUSTOMER_LIMIT + over))
    shown = written_data(CASE, "customer", words, NOBODY)
    assert (words in shown) == (over == 0)
    assert words[: CUSTOMER_LIMIT // 2] in shown and words[-CUSTOMER_LIMIT // 2 :] in shown
    assert len(shown) < CUSTOMER_LIMIT + 200


@pytest.mark.parametrize("over", [0, 1, 5_000])
def test_of_the_policy_a_model_sees_so_many_quotes_of_such_a_length(over: int) -> None:
    quote = "q" * (QUOTE_LIMIT + over)
    many = [
        Citation(f"c-v{number}", "c", number, str(number), quote) for number in range(1, QUOTES + 1 + over)
    ]
    shown = quotes_shown(many)
    assert len(shown) == QUOTES
    assert all((one["quote"] == quote) == (over == 0) for one in shown)
    assert all(len(str(one["quote"])) < QUOTE_LIMIT + 60 for one in shown)


async def at_the_gateway(stage: Stage) -> tuple[Gateway, ToolContext]:
    case = await stage.submit()
    context = ToolContext(
        case.tenant, case.case_id, case.customer_id, case.order_id, "US", case.received_at.date(), "none"
    )
    return Gateway(stage.house.driver.services.books, ticks=lambda: 1_000.0), context


def calls(number: int) -> list[TraceEvent]:
    return [
        TraceEvent(step, "get_policy_evidence", {}, "abstain", 0, 0, {"question": f"{step}?"})
        for step in range(1, number + 1)
    ]


@pytest.mark.parametrize(
    ("before", "result"), [(CALLS_A_RUN - 1, "found"), (CALLS_A_RUN, "tool_unavailable")]
)
async def test_a_run_calls_so_many_tools(stage: Stage, before: int, result: str) -> None:
    gate, context = await at_the_gateway(stage)
    called = await gate.call(context, LookupOrder(OrderId("D300")), {}, calls(before))
    assert called.event.result == result


@pytest.mark.parametrize(
    ("made", "since", "result"),
    [
        (CALLS_A_MINUTE, 1.0, "tool_unavailable"),
        (CALLS_A_MINUTE - 1, 1.0, "found"),
        (CALLS_A_MINUTE, MINUTE_SECONDS, "found"),
    ],
)
async def test_a_tenant_calls_so_many_tools_a_minute(
    stage: Stage, made: int, since: float, result: str
) -> None:
    gate, context = await at_the_gateway(stage)
    gate.calls[TenantId("demo")] = deque([1_000.0 - since] * made, maxlen=CALLS_A_MINUTE)
    called = await gate.call(context, LookupOrder(OrderId("D300")), {}, [])
    assert called.event.result == result
    other = replace(context, tenant=TenantId("another"))
    assert gate._within_a_minute(other.tenant)


@pytest.mark.parametrize("request_", [LookupOrder(OrderId("D300")), GetPolicyEvidence("return policy?")])
async def test_what_is_no_read_is_not_run(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, request_: Any
) -> None:
    gate, context = await at_the_gateway(stage)
    assert (await gate.call(context, request_, {}, [])).event.result != "tool_unavailable"
    writes: Mapping[str, str] = dict.fromkeys(TIERS, "write")
    monkeypatch.setattr(gateway, "TIERS", writes)
    assert (await gate.call(context, request_, {}, [])).event.result == "tool_unavailable"


class AwayBooks(Books):
    """Books that a connection cannot be had to, for as long as it is said."""

    away = True

    @asynccontextmanager
    async def _session(
        self, tenant: TenantId | None, customer: CustomerId | None, *, begin: bool
    ) -> AsyncIterator[AsyncConnection[DictRow]]:
        if self.away:
            raise BooksAway("the connection is closed")
        async with super()._session(tenant, customer, begin=begin) as connection:
            yield connection


async def test_books_that_are_away_for_longer_than_a_tool_waits_are_nobodys_hand_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drive fails, and the next sweep goes on; only what a tool itself does not do is a person's."""
    monkeypatch.setattr(gateway, "SECONDS", dict.fromkeys(TIERS, 0.2))
    gate, context = await at_the_gateway(stage)
    books = AwayBooks(gate.books.pool, gate.books._conninfo)
    gate.books = books
    with pytest.raises(BooksAway, match="lookup_order"):
        await gate.call(context, LookupOrder(OrderId("D300")), {}, [])
    books.away = False
    assert (await gate.call(context, LookupOrder(OrderId("D300")), {}, [])).event.result == "found"

    async def slow(*given: object) -> OrderFacts:
        await asyncio.Event().wait()
        raise AssertionError(given)

    monkeypatch.setattr(gateway, "lookup_order", slow)
    called = await gate.call(context, LookupOrder(OrderId("D300")), {}, [])
    assert called.event.result == "tool_unavailable"
