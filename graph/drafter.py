"""The drafter: a reply whose every number and date comes from order facts or policy, never from a customer's text."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, assert_never

from graph.planner import PlanContext
from policies.clauses import (
    RULES,
    Allow,
    Ask,
    Bar,
    Claim,
    Deny,
    Judgement,
    LeaveToPerson,
    RuleInForce,
    judgement_of,
)
from policies.conflicts import conflict_with
from policies.languages import DEFAULT
from policies.letter_templates import LetterTemplates, templates
from policies.request import MoneyRequest
from records.cases import Case
from records.library import StatedRule
from records.money import CurrentProposal
from records.takeovers import Takeover
from refunds.evidence import Citation, Grounded
from refunds.finding import Finding
from refunds.ids import NO_ORDER, NO_PAYMENT, OrderId, PaymentId, PersonId, Sku
from refunds.legs import Leg, split, spread
from refunds.money import NOTHING, Money
from refunds.order import CustomerOrder, Line, OrderFacts, Units, counted
from refunds.vocabulary import HandoffReason, ProposalKind

NAMED_ITEMS = 3
ORDERS_LISTED = 10


@dataclass(frozen=True, slots=True)
class Draft:
    """A reply, with the refund that it proposes or none."""

    kind: ProposalKind
    text: str
    citations: tuple[Citation, ...]
    order_id: OrderId = NO_ORDER
    payment_id: PaymentId = NO_PAYMENT
    amount: Money = NOTHING
    units: tuple[Units, ...] = ()
    rule: str = ""
    edited_by: PersonId | None = None
    edited_upward: bool = False
    charges_minor: int = 0
    legs: tuple[Leg, ...] = ()
    goods_first: bool = False
    kept: bool = False
    question: bool = False
    """It asks the customer, and what they answer runs the case again."""


@dataclass(frozen=True, slots=True)
class Worded:
    """The words that a model found for a draft; None where the rule's own stand, or where a person writes."""

    text: str | None
    tokens: int = 0
    cost_micros: int = 0
    findings: tuple[Finding, ...] = ()
    handoff: HandoffReason | None = None


class Writer(Protocol):
    """Finds words for what is decided, and tells whoever watches of them as they come."""

    async def word(
        self, draft: Draft, asked_by: str, plan_context: PlanContext, watch: Callable[[str], Awaitable[None]]
    ) -> Worded: ...


@dataclass(frozen=True, slots=True)
class Revision:
    """What a person asked for when they sent the last proposal back."""

    amount_minor: int | None
    """What a person set, and who; None where nobody did."""

    by: PersonId | None
    from_amount: Money
    units: tuple[Units, ...] | None = None
    reply: str | None = None
    """Words that a person saw beside an amount: they stand beside that amount or nowhere."""

    insists: bool = True
    """Somebody asked for these words; where they do not fit any more, a person reads the case."""


def draft(
    case: Case,
    request: MoneyRequest,
    order: OrderFacts,
    evidence: Grounded,
    stated: list[StatedRule],
    now: datetime,
    revision: Revision | None,
    language: str = DEFAULT,
) -> Draft | LeaveToPerson:
    """The reply to a case; where no clause decides a request for money, or its amount, a person reads it.

    It is written as the case's shop writes to customers of the language; amounts stand in it as they write them.
    """
    says = templates(case.tenant, language)
    made = _drafted(case, request, order, evidence, stated, now, revision, language, says)
    if isinstance(made, LeaveToPerson) or revision is None:
        return made
    wanted = revision.from_amount.amount_minor if revision.amount_minor is None else revision.amount_minor
    fits = made.amount.amount_minor == wanted
    if revision.reply is not None and not fits and revision.insists:
        return LeaveToPerson("no_approved_evidence")
    same_units = revision.units is not None and counted(revision.units) == counted(made.units)
    return replace(
        made,
        text=made.text if revision.reply is None or not fits else revision.reply,
        units=revision.units if revision.units is not None and same_units else made.units,
        edited_upward=made.edited_by is not None
        and made.amount.amount_minor > revision.from_amount.amount_minor,
    )


def _drafted(
    case: Case,
    request: MoneyRequest,
    order: OrderFacts,
    evidence: Grounded,
    stated: list[StatedRule],
    now: datetime,
    revision: Revision | None,
    language: str,
    says: LetterTemplates,
) -> Draft | LeaveToPerson:
    if request.doubt is not None:
        return LeaveToPerson(request.doubt)
    if not request.wanted:
        return Draft("reply", _answer(says, order, evidence), evidence.citations)
    rules = [
        RuleInForce(str(rule.parameters["rule"]), rule.parameters, rule.citation)
        for rule in stated
        if rule.parameters.get("rule") in RULES
    ]
    if order.disputed:
        return LeaveToPerson("payment_disputed")
    items = request.items
    asked_for = request.ask.lines if request.ask and items is None else None
    if asked_for == () and not (revision and revision.units):
        return Draft("reply", _which_of(says, order), evidence.citations, question=True)
    claim = Claim(
        order=order,
        wanted=None if items is None else tuple(Sku(sku) for sku in items),
        named=revision.units if revision and revision.units else asked_for,
        says_damaged=request.damaged,
        cause_open=request.cause_open,
        says_cancel=request.cancels,
        now=now,
        asked_at=case.received_at,
        language=language,
    )
    judgement = judgement_of(claim, rules)
    if judgement is None:
        return LeaveToPerson("no_approved_evidence")
    found = () if evidence.by_rule else evidence.citations
    decided = (judgement.citation, *((judgement.beside,) if judgement.beside else ()))
    cited = (*decided, *(other for other in found if other not in decided))
    verdict, citation = judgement.verdict, judgement.citation
    match verdict:
        case Deny(because) | Bar(because):
            denied = _denial(says, order, says.because(because, language), citation)
            return Draft("reply", denied, cited, rule=judgement.rule)
        case Ask(what):
            return Draft(
                "reply", _question(says, order, what, citation), cited, rule=judgement.rule, question=True
            )
        case LeaveToPerson():
            return verdict
        case Allow():
            pass
        case _:
            assert_never(verdict)
    against = conflict_with(evidence, citation, [rule.citation for rule in rules])
    if against is not None:
        return LeaveToPerson("policy_conflict", (against, citation))
    proposed = Draft(
        kind="refund",
        text="",
        citations=cited,
        order_id=order.order_id,
        payment_id=verdict.payment_id,
        amount=verdict.amount,
        units=verdict.units,
        rule=judgement.rule,
        charges_minor=verdict.charges_minor,
        legs=verdict.legs,
        goods_first=verdict.goods == "first",
        kept=verdict.goods == "keep",
    )
    revised = _revised(proposed, order, judgement, revision)
    if revised.kind == "reply":
        return replace(revised, text=_answer(says, order, Grounded(cited)))
    return replace(revised, text=_offer(says, order, revised, judgement.citation, verdict, language))


def drafted_by(written: Takeover, current: CurrentProposal | None, order: OrderFacts | None) -> Draft:
    """What a person wrote, as a draft that carries their name; what one payment does not bear goes to the others."""
    before = current.proposal.amount.amount_minor if current else 0
    fits = order is not None and written.amount <= order.left
    legs = spread(written.amount, order.payments, written.payment_id) if order is not None and fits else ()
    return Draft(
        kind="refund",
        text=written.reply,
        citations=(),
        order_id=written.order_id,
        payment_id=written.payment_id,
        amount=written.amount,
        legs=legs if len(legs) > 1 else (),
        edited_by=written.person,
        edited_upward=written.amount.amount_minor > before,
    )


def _revised(proposed: Draft, order: OrderFacts, judgement: Judgement, revision: Revision | None) -> Draft:
    """The draft with the amount a person asked for; zero leaves the reply alone."""
    if revision is None or revision.amount_minor is None:
        return proposed
    if revision.units is not None and counted(revision.units) != counted(proposed.units):
        return proposed  # another rule decides for other items; the books will not have it as this person's
    if revision.amount_minor == 0:
        return replace(
            proposed,
            kind="reply",
            order_id=NO_ORDER,
            payment_id=NO_PAYMENT,
            amount=NOTHING,
            units=(),
            charges_minor=0,
            legs=(),
            goods_first=False,
            kept=False,
            edited_by=revision.by,
        )
    amount = Money(revision.amount_minor, proposed.amount.currency)
    legs = split(amount, order.payments, judgement.payment_order) if judgement.payment_order else ()
    return replace(
        proposed,
        amount=amount,
        payment_id=legs[0].payment_id if legs else proposed.payment_id,
        charges_minor=min(proposed.charges_minor, amount.amount_minor),
        legs=legs if len(legs) > 1 else (),
        edited_by=revision.by,
    )


def _items(says: LetterTemplates, order: OrderFacts) -> str:
    names = [line.name for line in order.lines[:NAMED_ITEMS]]
    more = len(order.lines) - len(names)
    named_first = ", ".join(names)
    return says.says("goods.more", goods=named_first, count=more) if more else named_first


def _delivery(says: LetterTemplates, order: OrderFacts) -> str:
    about = {"order": order.order_id, "goods": _items(says, order)}
    match order.status:
        case "delivered" if order.delivered_at is not None:
            return says.says("delivery.delivered_on", day=says.day(order.delivered_at), **about)
        case "delivered":
            return says.says("delivery.delivered", **about)
        case "cancelled":
            return says.says("delivery.cancelled", **about)
        case "pending" | "processed" | "shipped":
            return says.says("delivery.on_its_way", **about)
        case _:
            assert_never(order.status)


def _answer(says: LetterTemplates, order: OrderFacts, evidence: Grounded) -> str:
    quotes = "\n".join(says.quote(citation) for citation in evidence.citations)
    return says.letter(quotes, _delivery(says, order), says.says("answer.note"))


def _offer(
    says: LetterTemplates, order: OrderFacts, made: Draft, citation: Citation, verdict: Allow, language: str
) -> str:
    """What goes back first, then why, then what the customer does."""
    amount, several = made.amount.shown(language), ".several" if made.legs else ""
    about: dict[str, object] = {"amount": amount}
    if made.legs:
        about["parts"] = _parts(says, order, made, language)
    why = f"{_delivery(says, order)} {says.quote(citation)}"
    match verdict.goods:
        case "unsaid":
            return says.letter(says.says(f"offer{several}", **about), why)
        case "keep":
            return says.letter(says.says(f"offer{several}", **about), why, says.says("offer.keep"))
        case "first":
            goods = ", ".join(f"{one.quantity} × {order.line(one.line_id).name}" for one in made.units)
            steps = verdict.how_to_return or says.says("offer.steps", order=order.order_id)
            first = says.says(f"offer.first{several}", goods=goods, first=says.says("first"), **about)
            return says.letter(first, why, steps, says.says("offer.after"))
        case _:
            assert_never(verdict.goods)


def _parts(says: LetterTemplates, order: OrderFacts, made: Draft, language: str) -> str:
    """What goes back to each of several payments, as people call them."""
    kinds = {payment.payment_id: says.says(f"method.{payment.kind}") for payment in order.payments}
    return says.listed(
        [
            says.says("offer.part", amount=leg.amount.shown(language), method=kinds[leg.payment_id])
            for leg in made.legs
        ]
    )


def _question(says: LetterTemplates, order: OrderFacts, what: str, citation: Citation) -> str:
    return says.letter(
        says.says("question", what=says.says(what)),
        f"{_delivery(says, order)} {says.quote(citation)}",
        says.says("question.after"),
    )


def _which_of(says: LetterTemplates, order: OrderFacts) -> str:
    goods = "\n".join(f"- {line.quantity} × {named(line)}" for line in order.lines)
    return says.letter(
        says.says("question.which_goods", order=order.order_id), goods, says.says("question.after")
    )


def named(line: Line) -> str:
    """A line as a letter calls it, with the options that tell it from others."""
    options = ", ".join(value for _, value in line.options)
    return f"{line.name} ({options})" if options else line.name


def which_order_question(says: LetterTemplates, orders: Sequence[CustomerOrder]) -> Draft:
    """Asks a customer which of their orders they mean."""
    listed = "\n".join(
        says.says(
            "question.order_line",
            order=order.order_id,
            day=says.day(order.ordered_at),
            goods=", ".join(line.name for line in order.lines[:NAMED_ITEMS]),
        )
        for order in orders[:ORDERS_LISTED]
    )
    return Draft(
        "reply",
        says.letter(says.says("question.which_order"), listed, says.says("question.number")),
        (),
        question=True,
    )


def _denial(says: LetterTemplates, order: OrderFacts, because: str, citation: Citation) -> str:
    return says.letter(
        says.says("denial", because=because), f"{_delivery(says, order)} {says.quote(citation)}"
    )
