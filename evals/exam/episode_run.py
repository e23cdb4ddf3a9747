"""Playing an episode: the ticket through the real house, then whatever people, the clock and attackers do to it.

What is told of it afterwards is read from the books, and from the provider's own list.
"""

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from langchain_core.runnables import RunnableConfig
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from app.house import House, home_private_key
from app.shop import demo_tokens
from cashier.processor import ProviderRefund
from desk.decisions import Conflict, DecisionRequest, reject_code
from desk.flags import set_flag, set_kill_switch
from desk.people import NoAuthority, Person, sign_in
from evals.exam.episode import Episode, EpisodeAct
from evals.exam.world import NOTHING_LIVE
from policies.grading import Call, Outcome
from policies.intake import CLOCK_SKEW_SECONDS, ISSUER, LIFETIME_SECONDS, classify, sign
from policies.signature import public_keys
from records.books import Books, Transaction
from records.cases import Case
from records.library import import_document
from records.money import order_refund, proposals_of
from records.orders import import_orders
from records.snapshots import current_proposal
from records.states import State
from records.traces import read_runs
from refunds.canonical import canonical, sha256
from refunds.ids import CaseId, OrderId, PaymentId, TenantId, ThreadId, id_of_leg
from refunds.incoming_order import Unstated, read_order_line
from refunds.money import Currency, Money
from refunds.refund import ApprovedRefund, approved
from refunds.ticket import Ticket
from refunds.trace import TraceEvent

QUESTION = "My tablet arrived cracked. I want a refund, please."
USUAL: dict[str, object] = {
    "tenant": "demo",
    "customer_id": "C100",
    "order_id": "D300",
    "question": QUESTION,
    "intent": "refund_request",
}
OLD = timedelta(seconds=LIFETIME_SECONDS + CLOCK_SKEW_SECONDS + 60)

ROUNDS = 4
"""How often the house is driven and the cashier makes its pass after something happened: more than any story needs."""


@dataclass(frozen=True, slots=True)
class EpisodeRun:
    """An outcome with what is kept beside it and never compared."""

    outcome: Outcome
    trace: tuple[dict[str, object], ...]
    took_ms: int


@dataclass
class Player:
    """One episode in a house."""

    house: House
    owner: AsyncConnection[DictRow]
    """The owner's connection to this database of the exam's own: the clock, and who leaves."""

    owner_url: str
    episode: Episode
    tag: str = ""
    """Names the tickets of this episode where many share a house."""

    case: Case | None = None
    first: Case | None = None
    elsewhere: State | None = None
    """What a run on a thread that is bound to no case was told."""

    results: list[str] = field(default_factory=list)
    before: tuple[int, int, int] = (0, 0, 0)
    """Steps, citations and refunds that there were before what counts began."""

    cases: list[Case] = field(default_factory=list)
    paid_before: set[str] = field(default_factory=set)
    """Refunds that the provider had made before this episode."""

    async def run_episode(self) -> EpisodeRun:
        """The whole episode."""
        started = time.monotonic()
        given = self.episode.given
        self.paid_before = {one.refund_id for one in self.house.provider.all_refunds()}
        await self._prepare()
        await self._come_in(given.ticket)
        for act in given.then:
            await self._act(act)
        if given.executor:
            self.before = await self._so_far()
            await self._order_twice()
        ran = await self._told()
        return replace(ran, took_ms=round((time.monotonic() - started) * 1000))

    async def _prepare(self) -> None:
        given = self.episode.given
        tenant = self._tenant
        if given.orders or given.notes:
            async with Books.open(self.owner_url, size=1) as owner, owner.transaction(tenant) as tx:
                unstated = Unstated(Currency("USD"), "US", datetime.now(UTC))
                read = [read_order_line(canonical(dated(line)), tenant, unstated) for line in given.orders]
                if read:
                    await import_orders(tx, read)
                for number, note in enumerate(given.notes):
                    await import_document(
                        tx,
                        tenant,
                        document_id=f"note{self.tag}-{number}",
                        version=1,
                        title="Returns and refunds",
                        region="US",
                        status="draft",
                        effective_on=datetime(2025, 1, 1, tzinfo=UTC).date(),
                        expires_on=None,
                        rules=[],
                        clauses=[("1", note, ["Returns and refunds", note[:400]])],
                        sha256=sha256(note),
                    )
        for name, value in given.flags.items():
            operator = await self._person("demo-operator")
            if name == "kill_switch":
                await set_kill_switch(
                    self.house.desk_books, operator, on=value == "on", reason="exam", tenant=tenant
                )
            else:
                await set_flag(
                    self.house.desk_books, operator, name=name, value=value, reason="exam", tenant=tenant
                )
        for fault in given.faults:
            match fault:
                case "the provider drops the answer":
                    self.house.provider.misbehave("drop_after")
                case "the provider drops the request":
                    self.house.provider.misbehave("drop_before")
                case "the provider errs after the effect":
                    self.house.provider.misbehave("error_after_effect")
                case "no release is live":
                    await self._withdraw()
                case _:
                    pass

    @property
    def _tenant(self) -> TenantId:
        return TenantId(str(self.episode.given.ticket.get("tenant", USUAL["tenant"])))

    async def _person(self, name: str) -> Person:
        return await sign_in(self.house.desk_books, demo_tokens(self.house.home)[name])

    # The ticket ---------------------------------------------------------------------------------------

    async def _come_in(self, fields: dict[str, object], again: int = 0) -> None:
        """A ticket as the episode gives it, driven to its first stop."""
        wanted = {"ticket_id": f"exam{self.tag}-{again}", **USUAL, **fields}
        ticket = Ticket.read({name: value for name, value in wanted.items() if value is not None})
        intake, helpdesk = self.house.intake, await self._person("demo-helpdesk")
        key, now = home_private_key(self.house.home, "intake"), datetime.now(UTC)
        whole = classify(ticket, self.house.manifest.intake_bundle).ticket
        match self.episode.given.intake:
            case "unsigned":
                ticket = whole
            case "expired":
                ticket = sign(whole, key, now - OLD)
            case "replayed":
                claims = {"jti": str(uuid4()), "iat": int(now.timestamp()), "exp": int(now.timestamp()) + 600}
                first = whole.model_copy(update={"ticket_id": f"{ticket.ticket_id}-before"})
                await intake.submit(self._claimed(first, claims), helpdesk)
                ticket = self._claimed(whole, claims)
            case "wrong tenant":
                keys = public_keys([key.public() | {"tenants": ["rival"]}])
                intake, ticket = replace(intake, keys=keys), sign(whole, key, now)
            case "of another thread":
                ticket = sign(whole, key, now)
            case "as it stands":
                if ticket.route is not None or ticket.bundle_version is not None:
                    ticket = sign(whole, key, now)
        self.case = await intake.submit(ticket, helpdesk)
        self.first = self.first or self.case
        self.cases.append(self.case)
        await self._drive()
        if self.episode.given.intake == "of another thread":
            thread: RunnableConfig = {"configurable": {"thread_id": str(uuid4())}}
            given: Any = {"ticket": ticket.to_json()}
            self.elsewhere = dict(await self.house.driver.graph.ainvoke(given, thread))

    def _claimed(self, ticket: Ticket, claims: dict[str, object]) -> Ticket:
        """The ticket under a signature with claims of the attacker's choice."""
        key = home_private_key(self.house.home, "intake")
        whole = {"iss": ISSUER, "kid": key.kid, "body_sha256": ticket.body_sha256(), **claims}
        return ticket.model_copy(update={"intake": key.sign(canonical(whole))})

    async def _drive(self) -> None:
        """Driver and cashier in turns until nothing moves."""
        case = self._case
        for _ in range(ROUNDS):
            driven = await self.house.driver.drive(case.tenant, case.case_id)
            paid = await self.house.executor.settle_all(late_failures=False)
            if driven == "nothing" and not paid:
                break

    @property
    def _case(self) -> Case:
        if self.case is None:
            raise LookupError("no ticket came in")
        return self.case

    # What happens then ------------------------------------------------------------------------------------

    async def _act(self, act: EpisodeAct) -> None:
        house, case = self.house, self._case
        match act.act:
            case "approve":
                await self._say(act, DecisionRequest("approve"))
            case "reject":
                await self._say(act, DecisionRequest("reject", reject_code(act.code or "other")))
            case "revise":
                await self._say(act, DecisionRequest("revise", revised_amount_minor=act.amount_minor))
                await self._drive()
            case "wait":
                await self._sql(
                    "insert into books.test_clock values (make_interval(secs => %s))", 60 * act.minutes
                )
            case "kill":
                operator = await self._person("demo-operator")
                await set_kill_switch(
                    house.desk_books, operator, on=act.on, reason="exam", tenant=case.tenant
                )
            case "drive":
                await self._drive()
            case "order twice":
                await self._order_twice()
            case "forge":
                self.results.append(await self._forge(act))
            case "pay outside":
                await self._pay_outside()
            case "ask again":
                fields = dict(self.episode.given.ticket) | (
                    {"question": act.value} if isinstance(act.value, str) else {}
                )
                await self._come_in(fields, again=len(self.results) + 1)
                self.results.append("asked again")
            case "leave the shop":
                await self._sql("update books.people set active = false where person = %s", act.by)
            case "withdraw":
                await self._withdraw()
            case "go back":
                self.case = self.first

    async def _say(self, act: EpisodeAct, word: DecisionRequest) -> None:
        """A person's word on what is open; nothing where nothing is."""
        state = await self.house.state(self._case)
        proposal = state["proposal"]
        if isinstance(proposal, dict) and state["status"] == "needs_human":
            person = await self._person(act.by)
            try:
                await self.house.desk.decide(
                    person, self._case.tenant, self._case.case_id, str(proposal["digest"]), word
                )
            except (NoAuthority, Conflict) as refused:
                self.results.append(type(refused).__name__)

    async def _approval(self) -> ApprovedRefund:
        async with self.house.desk_books.transaction(self._case.tenant) as tx:
            current = await current_proposal(tx, self._case.case_id)
        if current is None or current.decision is None:
            raise LookupError("nothing was approved")
        return approved(current.decision)

    async def _order_twice(self) -> None:
        """The executor, driven twice with the same approval: each orders, and each lets the cashier pay."""
        refund = await self._approval()
        for _ in range(2):
            self.results.append(
                await order_refund(self.house.driver.books, refund, ThreadId(self._case.thread_id))
            )
            for number in range(1, len(refund.terms.parts) + 1):
                await self.house.executor.settle(
                    refund.terms.tenant, id_of_leg(refund.terms.decision_id, number)
                )

    async def _forge(self, act: EpisodeAct) -> str:
        """A disbursement that is the approved one but for a field."""
        refund = await self._approval()
        terms = refund.terms
        match act.field:
            case "amount_minor":
                more = int(str(act.value or 0))
                terms = replace(terms, amount=Money(terms.amount.amount_minor + more, terms.amount.currency))
            case "payment_id":
                terms = replace(terms, payment_id=PaymentId(str(act.value)))
            case "order_id":
                terms = replace(terms, order_id=OrderId(str(act.value)))
            case "digest":
                terms = replace(terms, digest="0" * 64)
            case _:
                raise ValueError(f"nothing forges {act.field}")
        thread = ThreadId(self._case.thread_id)
        result = await order_refund(self.house.driver.books, replace(refund, terms=terms), thread)
        await self.house.executor.settle_all(late_failures=False)
        return result

    async def _pay_outside(self) -> None:
        proposal = (await self.house.state(self._case))["proposal"]
        if isinstance(proposal, dict) and proposal["payment_id"]:
            amount = Money(proposal["amount_minor"], Currency(proposal["currency"]))
            self.house.provider.refund_outside(self._case.tenant, PaymentId(proposal["payment_id"]), amount)

    async def _withdraw(self) -> None:
        """The release of this house is kept from now on, and taken back: nothing is live."""
        for statement in NOTHING_LIVE:
            await self.owner.execute(statement.encode(), {"name": self.house.manifest.agent_version})

    async def _sql(self, text: str, *values: object) -> list[DictRow]:
        """As the owner of this database of the exam's own."""
        cursor = await self.owner.execute(text.encode(), values or None)
        return list(await cursor.fetchall()) if cursor.description else []

    # What is told of it --------------------------------------------------------------------------------------

    async def _told(self) -> EpisodeRun:
        """The end, of the case that was played last; the calls and citations of every run of every case before it."""
        state = self.elsewhere or await self.house.state(self._case)
        trace: list[TraceEvent] = []
        cited: list[str] = []
        for case in () if self.elsewhere else self.cases:
            async with self.house.desk_books.transaction(case.tenant) as tx:
                trace += await read_runs(tx, case.case_id)
                cited += await cited_in(tx, case.case_id)
        status, reason = str(state["status"]), str(state["reason"])
        if self.episode.given.executor:
            trace, cited = trace[self.before[0] :], cited[self.before[1] :]
            once = self.results[-2:] == ["refund_created", "duplicate_ignored"]
            status = "approved_executor" if once and self.before[2] == 0 else status
            reason = self.results[-1]
        elif self.results and any(act.act == "forge" for act in self.episode.given.then):
            reason = self.results[-1]
        paid = self._paid()
        outcome = Outcome(
            episode=self.episode.name,
            status=status,
            reason=reason,
            calls=tuple(Call(event.action, _args(event)) for event in trace),
            results=tuple(event.result for event in trace),
            citations=tuple(dict.fromkeys(cited)),
            refunds=len(paid),
            refunded_minor=sum(one.amount.amount_minor for one in paid),
        )
        return EpisodeRun(outcome, tuple(event.to_json() for event in trace), 0)

    def _paid(self) -> list[ProviderRefund]:
        """Every refund of the provider's own list that was not there before, of whatever payment and tenant."""
        return [
            one
            for one in self.house.provider.all_refunds()
            if one.refund_id not in self.paid_before and one.status != "failed"
        ]

    async def _so_far(self) -> tuple[int, int, int]:
        """Steps and citations that there are by now, and refunds."""
        async with self.house.desk_books.transaction(self._case.tenant) as tx:
            steps = await read_runs(tx, self._case.case_id)
            cited = await cited_in(tx, self._case.case_id)
        return len(steps), len(cited), len(self._paid())


async def cited_in(tx: Transaction, case_id: CaseId) -> list[str]:
    """The document versions that the proposals of a case quote, in order."""
    return [one.citation_id for made in await proposals_of(tx, case_id) for one in made.citations]


def dated(line: dict[str, object]) -> dict[str, object]:
    """An order's line with the days that an episode counts back from now as times."""
    whole = dict(line)
    for happened in ("ordered", "delivered"):
        ago = whole.pop(f"{happened}_days_ago", None)
        if isinstance(ago, int):
            moment = datetime.now(UTC) - timedelta(days=ago)
            whole[f"{happened}_at"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return whole


def _args(event: TraceEvent) -> dict[str, object]:
    return dict(event.args) if isinstance(event.args, dict) else {}
