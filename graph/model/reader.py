"""The second reader, a model: what the customer asks, in the form of the first reader, by the customer's own words."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from graph.model.asking import Asking, ModelResult, call_context
from graph.model.endpoint import ModelQuestion
from graph.model.messages import as_data, fenced, last_answer, remembered, sections, since, written_data
from graph.planner import PlanContext
from graph.second_reader import SecondRead
from policies.reading.heard import MONEY_ASKS
from policies.reading.plain import PlainText, plain_of
from policies.spending import Sum
from refunds.finding import Finding
from refunds.ids import LineId
from refunds.masking import mask
from refunds.order import CustomerOrder, Units
from refunds.reading import BETWEEN, TextSpan, TicketAsk, TicketReading
from refunds.reading import Field as FieldName
from refunds.vocabulary import AskKind, Cause, MoneyWish

MOST_TOKENS = 2_000
"""Of an answer, what a model thinks before it included."""

LEAST_LETTERS = 4
"""Fewer stand in any text and prove nothing."""

ASKS = 12
ORDERS_SHOWN = 12
LINES_SHOWN = 20
"""Of what the customer bought, at most."""


class GoodsRead(BaseModel):
    """So many of a line."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    line_id: str
    quantity: int


class AskRead(BaseModel):
    """One thing that is asked. Every word that it rests on is looked for in the text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    ask: AskKind
    words: str
    money: MoneyWish
    order_id: str | None
    goods: list[GoodsRead]
    goods_words: str | None
    all_of_order: bool
    cause: Cause | None
    cause_words: str | None
    condition_words: str | None


class TicketRead(BaseModel):
    """The form of an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    asks: list[AskRead] = Field(max_length=ASKS)
    urgent_words: str | None


@dataclass(frozen=True)
class ModelReader:
    """Asks a model, once more where its answer cannot be read; what no words prove is left out."""

    asking: Asking

    async def read(
        self, texts: Sequence[str], orders: Sequence[CustomerOrder], plan_context: PlanContext
    ) -> SecondRead:
        """The reading, with what it cost; none where no model answered."""
        spent, findings, wrong = Sum(), list[Finding](), ""
        started = time.monotonic()
        for _ in range(2):
            asked = await self._ask(texts, orders, plan_context, spent, since(started), wrong)
            spent += asked.spent
            findings += asked.findings
            if asked.value is not None:
                proved = Proved(texts, orders)
                reading = proved.reading(asked.value, self.asking.prompt.version)
                findings += [
                    Finding("unproved_words", mask(one, plan_context.known)) for one in proved.missing
                ]
                return SecondRead(reading, spent, since(started), tuple(findings))
            if asked.reason is not None or not asked.words:
                break  # nobody may or can answer: the same question again would find nobody either
            findings.append(Finding("invalid_answer", f"read: {asked.outcome}"))
            wrong = asked.words
        findings.append(Finding("without_model", "read by the trained reader alone"))
        return SecondRead(None, spent, since(started), tuple(findings))

    async def _ask(
        self,
        texts: Sequence[str],
        orders: Sequence[CustomerOrder],
        plan_context: PlanContext,
        spent: Sum,
        took_ms: int,
        wrong: str,
    ) -> ModelResult[TicketRead]:
        context, case = call_context(plan_context, "read", spent, took_ms), plan_context.case
        work = sections(
            orders=fenced(
                case.case_id, "orders", mask(as_data(list(orders_shown(orders))), plan_context.known)
            ),
            customer=written_data(case.case_id, "customer", BETWEEN.join(texts), plan_context.known),
            memory=remembered(case.case_id, plan_context),
            last_answer=last_answer(case.case_id, wrong, plan_context.known),
        )
        question = ModelQuestion(self.asking.prompt.text, work, TicketRead, MOST_TOKENS)
        return await self.asking.ask(context, question, TicketRead)


def orders_shown(orders: Sequence[CustomerOrder]) -> Iterator[dict[str, object]]:
    """The customer's orders by ids, states and goods."""
    for order in orders[:ORDERS_SHOWN]:
        yield {
            "order_id": order.order_id,
            "status": order.status,
            "lines": [
                {
                    "line_id": line.line_id,
                    "name": line.name[:120],
                    "quantity": line.quantity,
                    **({"options": dict(line.options)} if line.options else {}),
                }
                for line in order.lines[:LINES_SHOWN]
            ],
        }


class Proved:
    """What of an answer the customer's own words prove, and the customer's own orders hold."""

    def __init__(self, texts: Sequence[str], orders: Sequence[CustomerOrder]) -> None:
        self.texts: list[tuple[PlainText, int]] = []
        self.orders: Mapping[str, CustomerOrder] = {order.order_id: order for order in orders}
        self.missing: list[str] = []
        offset = 0
        for text in texts:
            self.texts.append((plain_of(text), offset))
            offset += len(text) + len(BETWEEN)

    def reading(self, told: TicketRead, version: str) -> TicketReading:
        asks = [ask for one in told.asks if (ask := self._ask(one)) is not None]
        urgent = self._span(told.urgent_words) if told.urgent_words else None
        return TicketReading("model", version, tuple(asks), (urgent,) if urgent else ())

    def _ask(self, told: AskRead) -> TicketAsk | None:
        words = self._span(told.words)
        if words is None:
            return None
        spans: dict[FieldName, tuple[TextSpan, ...]] = {"ask": (words,)}
        money: MoneyWish = told.money if told.ask in MONEY_ASKS else "open"
        if money != "open":
            spans["money"] = (words,)
        order = self.orders.get(told.order_id or "")
        lines = self._lines(told, order, spans)
        cause = self._cause(told, spans)
        condition = self._span(told.condition_words) if told.condition_words else None
        if condition is not None:
            spans["conditions"] = (condition,)
        return TicketAsk(
            told.ask,
            money,
            order_id=order.order_id if order else None,
            lines=lines,
            cause=cause,
            conditions=condition is not None,
            spans=spans,
        )

    def _lines(
        self, told: AskRead, order: CustomerOrder | None, spans: dict[FieldName, tuple[TextSpan, ...]]
    ) -> tuple[Units, ...] | None:
        if order is None or (told.all_of_order and not told.goods):
            return None
        words = self._span(told.goods_words) if told.goods_words else None
        bought = {str(line.line_id): line.quantity for line in order.lines}
        units = tuple(Units(LineId(one.line_id), one.quantity) for one in told.goods)
        real = all(0 < one.quantity <= bought.get(one.line_id, 0) for one in units)
        if not units or words is None or not real or len({one.line_id for one in units}) != len(units):
            return ()
        spans["lines"] = (words,)
        return units

    def _cause(self, told: AskRead, spans: dict[FieldName, tuple[TextSpan, ...]]) -> Cause | None:
        words = self._span(told.cause_words) if told.cause and told.cause_words else None
        if words is None:
            return None
        spans["cause"] = (words,)
        return told.cause

    def _span(self, words: str) -> TextSpan | None:
        """Where words stand in the texts, the newest first; None where they do not."""
        plain = plain_of(words).text.strip()
        whole = re.compile(rf"(?<!\w){re.escape(plain)}(?!\w)") if len(plain) >= LEAST_LETTERS else None
        for text, offset in reversed(self.texts):
            found = whole.search(text.text) if whole else None
            if found:
                at = found.start()
                start, end = text.where(at, at + len(plain))
                return TextSpan(offset + start, offset + end)
        self.missing.append(words[:120])
        return None
