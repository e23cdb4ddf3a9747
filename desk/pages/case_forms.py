"""Case forms: what a person fills in on the page of a case, read into what the desk is asked to do."""

from typing import get_args

from desk.catalogue import _
from desk.corrections import CorrectedAsk, Correction, as_read
from desk.decisions import DecisionRequest
from desk.dossier import Dossier
from desk.marked import ReadWords
from desk.notes import BadDecision, clean_text
from desk.pages.forms import SentForm
from desk.revisions import check_units
from desk.takeovers import TakeoverRequest
from policies.reading.heard import MONEY_ASKS
from refunds.ids import LineId, OrderId
from refunds.money import read_amount
from refunds.order import OrderFacts, Units, counted
from refunds.proposal import Proposal
from refunds.vocabulary import Asked, AskKind, Cause, MoneyWish, RejectCode, TakeoverAct

QUANTITY_DIGITS = 5
ACTS = ("approve", "no_refund", "edit", "reject", "ask", "send_back", "correct")


def word_of(act: SentForm, wanted: str, proposal: Proposal, shown: Dossier) -> DecisionRequest:
    """The word in a form on what was on the screen. BadDecision names the field."""
    note = clean_text(act.text("note")) or None
    match wanted:
        case "approve":
            return DecisionRequest("approve", note=note)
        case "reject":
            code: RejectCode = act.one_of("code", get_args(RejectCode))
            letter = clean_text(act.text("letter"))
            return DecisionRequest(
                "reject", code, note=note, letter=letter if letter not in {"", shown.letters[code]} else None
            )
        case "ask":
            asks: Asked = act.one_of("asks", get_args(Asked))
            return DecisionRequest("revise", note=note, asks=asks)
        case "send_back":
            if note is None:
                raise BadDecision(_("note: say what is to be different"))
            return DecisionRequest("revise", note=note)
        case "no_refund":
            if proposal.kind != "refund":
                raise BadDecision(_("amount: this proposal has no refund to leave out"))
            return DecisionRequest("revise", revised_amount_minor=0, note=note)
        case "correct":
            return DecisionRequest("revise", note=note, correction=correction_in(act, shown.words))
        case _:
            return _edit(act, proposal, note)


def _edit(act: SentForm, proposal: Proposal, note: str | None) -> DecisionRequest:
    """A revision of what differs from the screen; BadDecision where nothing does."""
    reply = clean_text(act.text("reply"))
    amount = proposal.amount.amount_minor
    if proposal.kind == "refund":
        try:
            amount = read_amount(act.text("amount"), proposal.amount.currency).amount_minor
        except ValueError as error:
            raise BadDecision(_("amount: %(error)s", error=error)) from None
    units = units_in(act)
    others = units is not None and counted(units) != counted(proposal.units)
    word = DecisionRequest(
        "revise",
        note=note,
        revised_amount_minor=amount if others or amount != proposal.amount.amount_minor else None,
        revised_units=units if others else None,
        revised_reply=reply if reply != proposal.draft else None,
    )
    if (word.revised_amount_minor, word.revised_units, word.revised_reply) == (None, None, None):
        raise BadDecision(_("edit: nothing is different from the proposal on the screen"))
    return word


def correction_in(act: SentForm, words: ReadWords) -> Correction:
    """What a form says that the customer asks: the ask that was changed, and the others that stay as they were read."""
    kind: AskKind = act.one_of("ask", get_args(AskKind))
    money: MoneyWish = act.one_of("money", get_args(MoneyWish)) if kind in MONEY_ASKS else "open"
    about = act.text("order_id")
    scope = act.one_of("scope", ("all", "some", "open"))
    lines: dict[str, tuple[Units, ...] | None] = {"all": None, "some": units_in(act) or (), "open": ()}
    cause: Cause | None = act.one_of("cause", get_args(Cause)) if act.text("cause") else None
    wanted = money == "wanted"
    if wanted and scope == "some" and about != act.text("lines_of"):
        raise BadDecision(
            _("lines: these are of another order than the one chosen: choose all of it, or that order")
        )
    changed = CorrectedAsk(
        kind,
        money,
        OrderId(about) if about and wanted else None,
        lines[scope] if wanted else None,
        cause,
        bool(act.text("conditions")),
    )
    kept = set(act.texts("others"))
    others = [as_read(ask) for number, ask in enumerate(words.others) if str(number) in kept]
    return Correction((changed, *others), bool(act.text("urgent")))


def units_in(act: SentForm) -> tuple[Units, ...] | None:
    """How many of each line the form asks for; None where it shows no lines."""
    fields = [name.removeprefix("units:") for name in act.form if name.startswith("units:")]
    if not fields:
        return None
    found = []
    for line_id in fields:
        said = act.text(f"units:{line_id}").strip() or "0"
        if not said.isdecimal() or len(said) > QUANTITY_DIGITS:
            raise BadDecision(_("lines: how many of each, as a whole number"))
        if int(said):
            found.append(Units(LineId(line_id), int(said)))
    return tuple(found)


def takeover_in(act: SentForm, shown: Dossier) -> TakeoverRequest:
    """What a person does with a case by themselves. BadDecision names the field."""
    wanted: TakeoverAct = act.one_of("act", get_args(TakeoverAct))
    amount = None
    if wanted == "propose":
        if shown.order is None or not shown.order.payments:
            raise BadDecision(
                _("amount: this case names no order of its customer, so nothing can be paid back")
            )
        amount = _amount_of(act, shown.order)
    reply = "" if wanted == "close" else _with_quotes(clean_text(act.text("reply")), act, shown)
    return TakeoverRequest(wanted, reply, amount, clean_text(act.text("note")), act.text("digest") or None)


def _amount_of(act: SentForm, order: OrderFacts) -> int:
    """The amount that was typed; where none was, what the ticked goods cost."""
    if typed := act.text("amount").strip():
        try:
            return read_amount(typed, order.currency).amount_minor
        except ValueError as error:
            raise BadDecision(_("amount: %(error)s", error=error)) from None
    ticked = tuple(
        Units(line.line_id, line.quantity - order.gone[line.line_id])
        for line in order.lines
        if act.text(f"tick:{line.line_id}") and line.quantity > order.gone[line.line_id]
    )
    if not ticked:
        raise BadDecision(_("amount: write one, up to %(left)s, or tick what it is for", left=order.left))
    return min(check_units(order, ticked), order.left.amount_minor)


def _with_quotes(reply: str, act: SentForm, shown: Dossier) -> str:
    """The reply with the clauses that were ticked, word for word as the books have them, before it ends."""
    chosen = set(act.texts("cite"))
    for one in (offer.citation for offer in shown.near):
        if f"{one.citation_id}/{one.clause}" in chosen and one.quote not in reply:
            quote = shown.says.quote(one)
            before, gap, last = reply.rpartition("\n\n")
            reply = f"{before}{gap}{quote}\n\n{last}" if gap else f"{reply}\n\n{quote}"
    return reply
