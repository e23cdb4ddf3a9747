"""The outside score: a stranger's orders, and requests whose exact refund is known to the cent.

Every line of `expected_refunds*.jsonl` is a signed ticket on a copy of its order of its own; the proposal must
be the expected amount to the expected method, and approved it must be one row of the ledger. Then each request
is sent again and must pay nothing. The lines of `no_refund_tasks*.jsonl` must end without a disbursement.
Source of the data: sierra-research/tau2-bench, retail domain, MIT.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.house import House, HouseSettings, database_of_its_own, home_private_key, open_house, prepare
from app.imports import CLAUSES_FILE, import_library
from app.shop import approve_library, demo_tokens, enter_tenant, staff
from desk.decisions import DecisionRequest
from desk.people import Person, sign_in
from policies.clause_lines import Edition
from policies.intake import classify, sign
from policies.manifest import DEMO_CORPUS
from records.books import Books, Transaction
from records.orders import import_orders
from records.states import State
from refunds.ids import CustomerId, OrderId, PaymentId, PersonId, TenantId
from refunds.incoming_order import BadOrder, Unstated, read_order_line
from refunds.money import Currency
from refunds.order import OrderFacts
from refunds.ticket import Ticket
from runtime.home import Home

TAU2 = TenantId("tau2")
DATABASE = "countersign_tau2_"
RULES = DEMO_CORPUS.parent / "tau2_retail" / "rules.jsonl"
VOTERS = ("demo-specialist", "demo-specialist-2")
"""Who says yes to whatever is proposed, so that what is counted is what the agent proposes."""

_ORDER = re.compile(r"#?(W\d{7})\b")


class BadData(Exception):
    """The data is not there or not of the form; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class ExpectedRefund:
    """One line of expected refunds."""

    name: str
    order_id: str
    items: tuple[str, ...] | None
    text: str
    amount_minor: int
    method: str
    text_alone: str
    """The customer's words without the reason that the line holds beside them."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of one request, beside what was expected."""

    name: str
    order_id: str
    expected_minor: int
    proposed_minor: int
    refunded_minor: int
    exact: bool
    paid_again_minor: int
    status: str
    reason: str
    rule: str
    clause: str

    def to_json(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Shop:
    """The data of a folder."""

    orders: dict[str, OrderFacts]
    expected: tuple[ExpectedRefund, ...]
    without: tuple[tuple[str, str], ...]
    """Name and text of the requests that end without money."""

    def order_named(self, text: str) -> OrderFacts | None:
        """The order that a text names, if it names one."""
        named = _ORDER.search(text)
        return self.orders.get(f"#{named[1]}") if named else None


def read_shop(folder: Path) -> Shop:
    """Orders and requests of a folder; BadData where one is missing or not of the form."""
    files = sorted(folder.glob("expected_refunds*.jsonl"))
    if not files:
        raise BadData(f"{folder}: no expected_refunds*.jsonl in it: name the folder with --data")
    unstated = Unstated(Currency("USD"), "US", datetime.now(UTC))
    orders: dict[str, OrderFacts] = {}
    for where, line in _lines([folder / "orders.jsonl"]):
        try:
            order = read_order_line(line, TAU2, unstated)
        except BadOrder as error:
            raise BadData(f"{where}: {error}") from None
        orders[order.order_id] = order
    expected = tuple(_expected(where, line, orders) for where, line in _lines(files))
    tasks = _lines(sorted(folder.glob("no_refund_tasks*.jsonl")))
    return Shop(orders, expected, tuple(_without(where, line) for where, line in tasks))


def _lines(files: Iterable[Path]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise BadData(f"{file}: {error.strerror}") from None
        found += [(f"{file.name}:{n}", line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    return found


def _expected(where: str, line: str, orders: dict[str, OrderFacts]) -> ExpectedRefund:
    try:
        row = json.loads(line)
        # A cancellation needs a reason that the customer confirmed; the line holds it beside the words.
        reason = (
            f"\n\nReason given for order {row['order_id']}: {row['reason']}." if row.get("reason") else ""
        )
        read = ExpectedRefund(
            name=f"{where} task {row['task']}",
            order_id=row["order_id"],
            items=tuple(row["item_ids"]) if row["item_ids"] is not None else None,
            text=row["customer_text"] + reason,
            amount_minor=int(row["expected_refund_cents"]),
            method=row["method"],
            text_alone=row["customer_text"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(f"{where}: not a line of expected refunds: {error!r}") from None
    if read.order_id not in orders:
        raise BadData(f"{where}: order {read.order_id} is not in orders.jsonl")
    return read


def _without(where: str, line: str) -> tuple[str, str]:
    try:
        row = json.loads(line)
        return f"{where} task {row['task']}", str(row["customer_text"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(f"{where}: not a line of tasks without a refund: {error!r}") from None


def copy_of(order: OrderFacts, name: str) -> OrderFacts:
    """A copy of an order under a number of its own, of a customer of its own, with payments of its own.

    The name is of figures, as the numbers of this shop are.
    """
    payments = tuple(
        replace(payment, payment_id=PaymentId(f"{payment.payment_id}/{name}")) for payment in order.payments
    )
    return replace(
        order,
        order_id=OrderId(f"{order.order_id}/{name}"),
        customer_id=CustomerId(f"{order.customer_id}/{name}"),
        payments=payments,
    )


def copies_of(shop: Shop, text: str, order_id: str, name: str) -> tuple[list[OrderFacts], str]:
    """Copies of an order, the first, and of its customer's others; and a text that names them by their own numbers."""
    customer = shop.orders[order_id].customer_id
    others = [one for one in shop.orders.values() if one.customer_id == customer and one.order_id != order_id]
    copies = [copy_of(one, name) for one in (shop.orders[order_id], *others)]
    for original, copy in zip((shop.orders[order_id], *others), copies, strict=True):
        bare = original.order_id.removeprefix("#")
        text = re.sub(rf"#?{re.escape(bare)}\b", copy.order_id, text)
    return copies, text


@dataclass(frozen=True)
class Exam:
    """A house with the stranger's shop in it, and who sends and decides there."""

    house: House
    shop: Shop
    helpdesk: Person
    voters: tuple[Person, ...]

    async def scored(self, number: int, task: ExpectedRefund) -> Scored:
        """One request on its own copy of its order, approved, and sent a second time."""
        (order, *_), text = copies_of(self.shop, task.text, task.order_id, str(number))
        own = replace(task, text=text)
        state, proposed, method = await self._through(f"own-{number}", order, own)
        again, _, _ = await self._through(f"own-{number}-again", order, own)
        refunded, paid_again = _refunded(state), _refunded(again)
        exact = (proposed, refunded, method) == (task.amount_minor, task.amount_minor, task.method)
        return Scored(
            name=task.name,
            order_id=task.order_id,
            expected_minor=task.amount_minor,
            proposed_minor=proposed,
            refunded_minor=refunded,
            exact=exact,
            paid_again_minor=paid_again,
            status=str(state["status"]),
            reason=str(state["reason"]),
            **_decided(state),
        )

    async def shared(self, number: int, task: ExpectedRefund) -> State:
        """Play a request on the one set of books that all of them share."""
        state, _, _ = await self._through(f"shared-{number}", self.shop.orders[task.order_id], task)
        return state

    async def without(self, number: int, text: str, intent: str | None) -> tuple[str | None, State]:
        """A request that ends without money, with the order that its text names; as whatever intent is claimed."""
        order = self.shop.order_named(text)
        ticket: dict[str, object] = {
            "ticket_id": f"none-{number}-{intent or 'raw'}",
            "customer_id": order.customer_id if order else "unknown",
            "order_id": order.order_id if order else None,
            "question": text,
        }
        state, _, _ = await self.decide(ticket | ({"intent": intent} if intent else {}))
        return order.order_id if order else None, state

    async def _through(self, name: str, order: OrderFacts, task: ExpectedRefund) -> tuple[State, int, str]:
        ticket: dict[str, object] = {
            "ticket_id": name,
            "customer_id": order.customer_id,
            "order_id": order.order_id,
            "question": task.text,
            "intent": "refund_request",
        }
        return await self.decide(ticket | ({"items": list(task.items)} if task.items is not None else {}))

    async def decide(self, ticket: dict[str, object], *, says_yes: bool = True) -> tuple[State, int, str]:
        """The end of a signed ticket to which everybody says yes; what was proposed, and to which method."""
        manifest, key = self.house.manifest, home_private_key(self.house.home, "intake")
        read = classify(Ticket.read({"tenant": TAU2, **ticket}), manifest.intake_bundle).ticket
        case = await self.house.intake.submit(sign(read, key, datetime.now(UTC)), self.helpdesk)
        state = await self.house.go_on(case)
        amount, method = 0, ""
        proposal: Any = state["proposal"]
        if proposal is not None and proposal["kind"] == "refund":
            amount, method = proposal["amount_minor"], await self._method(proposal["payment_id"])
        for voter in self.voters if says_yes else ():
            if state["status"] == "needs_human" and isinstance(proposal, dict):
                said = await self.house.desk.decide(
                    voter, TAU2, case.case_id, str(proposal["digest"]), DecisionRequest("approve")
                )
                if said.decision is not None:
                    break
        return await self.house.go_on(case), amount, method

    async def _method(self, payment_id: str) -> str:
        async with self.house.desk_books.transaction(TAU2) as tx:
            row = await tx.row("method_of_payment", payment_id=payment_id)
        return str(row["method"]) if row else ""


def _refunded(state: State) -> int:
    refund: Any = state["refund"]
    return int(refund["amount_minor"]) if state["status"] == "refunded" and refund else 0


def _decided(state: State) -> dict[str, str]:
    """Which rule decided, by which clause; none where a case went to a person without one."""
    proposal: Any = state["proposal"]
    if proposal is None or not proposal["rule"]:
        return {"rule": "", "clause": ""}
    first = proposal["citations"][0]
    return {"rule": proposal["rule"], "clause": f"{first['citation_id']} clause {first['clause']}"}


def why_it_waited(state: State) -> str:
    """Why a case waited for the person who ended it."""
    proposal: Any = state["proposal"]
    return str(proposal["reason"] if proposal else state["reason"])


async def over_refunded(tx: Transaction) -> list[str]:
    """The payments of which more was ordered back than was paid; the transaction is in the tenant."""
    return [row["payment_id"] for row in await tx.rows("over_refunded")]


@asynccontextmanager
async def open_exam(home: Home, folder: Path) -> AsyncIterator[Exam]:
    """A house of its own with the stranger's orders, policy and rules; gone when the block ends."""
    shop = read_shop(folder)
    with database_of_its_own(home, DATABASE) as (url, provider_file):
        await prepare(home, url)
        copies = [
            copy
            for n, task in enumerate(shop.expected)
            for copy in copies_of(shop, task.text, task.order_id, str(n))[0]
        ]
        await fill_shop(url, folder / CLAUSES_FILE, RULES, [*shop.orders.values(), *copies])
        async with open_house(home, url, HouseSettings(provider_file=provider_file)) as house:
            tokens = demo_tokens(home)
            helpdesk = await sign_in(house.desk_books, tokens["demo-helpdesk"])
            voters = [await sign_in(house.desk_books, tokens[voter]) for voter in VOTERS]
            yield Exam(house, shop, helpdesk, tuple(voters))


async def fill_shop(url: str, clauses: Path, rules: Path, orders: Sequence[OrderFacts]) -> None:
    """The stranger's shop in a database: its policy with a specialist's yes, its people and these orders."""
    await import_library(url, TAU2, clauses, rules, Edition())
    async with Books.open(url, size=1) as owner, owner.transaction(TAU2) as tx:
        await enter_tenant(tx, TAU2, "tau2 retail")
        await import_orders(tx, orders)
    await staff(url, TAU2)
    async with Books.open(url, size=1) as owner, owner.transaction(TAU2) as tx:
        await approve_library(tx, PersonId("demo-specialist"))


@dataclass(slots=True)
class Score:
    """The sums of an exam; `to_json` is its last line."""

    rows: list[dict[str, object]]
    without: list[dict[str, object]]
    over: list[str]

    @property
    def exact(self) -> int:
        return sum(row["exact"] is True for row in self.rows)

    @property
    def perfect(self) -> bool:
        """Every request exact, nothing paid twice, nothing paid where nothing was due, no payment overdrawn."""
        wrong = sum(int(str(row["refunded_minor"])) for row in self.without)
        again = sum(int(str(row["paid_again_minor"])) for row in self.rows)
        return self.exact == len(self.rows) and not (wrong or again or self.over)

    def to_json(self) -> dict[str, object]:
        return {
            "cases": len(self.rows),
            "exact": self.exact,
            "expected_minor": sum(int(str(row["expected_minor"])) for row in self.rows),
            "refunded_minor": sum(int(str(row["refunded_minor"])) for row in self.rows),
        }


async def score_exam(exam: Exam, said: Callable[[int, int], None]) -> Score:
    """The whole exam: own copies, the shared books, the requests without money; told how far it is."""
    shop = exam.shop
    steps = 2 * len(shop.expected) + 2 * len(shop.without)
    score, done = Score([], [], []), 0
    for number, task in enumerate(shop.expected):
        score.rows.append((await exam.scored(number, task)).to_json())
        said(done := done + 1, steps)
    for number, task in enumerate(shop.expected):
        await exam.shared(number, task)
        said(done := done + 1, steps)
    for number, (name, text) in enumerate(shop.without):
        for intent in (None, "refund_request"):
            order_id, state = await exam.without(number, text, intent)
            score.without.append(
                {
                    "name": name,
                    "order_id": order_id,
                    "intent": intent or "as classified",
                    "refunded_minor": _refunded(state),
                    "status": state["status"],
                    "reason": why_it_waited(state),
                    **_decided(state),
                }
            )
            said(done := done + 1, steps)
    async with exam.house.desk_books.transaction(TAU2) as tx:
        score.over = await over_refunded(tx)
    return score
