"""One case on one screen, and what a person does with it. Each form names the digest that was on the screen."""

from typing import Annotated, Any, get_args
from urllib.parse import urlencode
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from desk.arrivals import note_arrival
from desk.assignments import assign
from desk.claims import claim, release_claim
from desk.corrections import CorrectedAsk, Correction, as_read
from desk.decisions import DecisionRequest, NothingToDecide
from desk.dossier import ASKED, Dossier, dossier_of, may_say_yes
from desk.held_approvals import held_of
from desk.letters import rejection
from desk.marked import ReadWords
from desk.messages import add_message
from desk.notes import BadDecision, clean_text
from desk.pages.forms import Opened, SentForm, actor, visitor
from desk.pages.render import go, is_fragment, page, reads, said
from desk.people import DECIDERS, Person
from desk.queue import find_case
from desk.refusals import BESIDE_THE_FORM, status_of
from desk.second_reviews import review_again
from desk.services import DeskServices
from desk.sessions import Visit
from desk.takeovers import TakeoverRequest, take_case_over
from policies.authority import SPECIALIST_FROM_MINOR
from policies.reading.heard import MONEY_ASKS
from records.cases import Case
from records.orders import customer_orders
from refunds.ids import LineId, OrderId, PersonId
from refunds.money import read_amount
from refunds.order import Units, counted
from refunds.proposal import Proposal
from refunds.vocabulary import (
    Asked,
    AskKind,
    Authority,
    Cause,
    MoneyWish,
    RejectCode,
    ReturnCondition,
    SecondVerdict,
    TakeoverAct,
)

router = APIRouter(include_in_schema=False)
Visiting = Annotated[Visit, Depends(visitor("cases:read"))]
Deciding = Annotated[SentForm, Depends(actor("cases:decide"))]

QUANTITY_DIGITS = 5
WITHIN_LIMIT = 600
ACTS = ("approve", "no_refund", "edit", "reject", "ask", "send_back", "correct")


@router.get("/cases/{case_id}")
async def show(request: Request, case_id: str, services: Opened, visit: Visiting) -> Response:
    """The case."""
    case = await find_case(services.books, visit.person, case_id)
    return await _screen(request, services, visit, case, done=request.query_params.get("done") or None)


@router.get("/cases/{case_id}/status")
async def case_status(
    request: Request, case_id: str, services: Opened, visit: Visiting, digest: str = ""
) -> Response:
    """Where the case stands now, beside the proposal that is on the screen."""
    case = await find_case(services.books, visit.person, case_id)
    shown = await dossier_of(services.books, services.manifest, case)
    return page(request, "_status.html", visit, shown=shown, digest=digest, me=visit.person.person)


@router.post("/cases/{case_id}/decide")
async def decide(request: Request, case_id: str, services: Opened, act: Deciding) -> Response:
    """A word on the proposal whose digest was on the screen."""
    return await _do(request, services, act, case_id, _decide)


async def _decide(services: DeskServices, act: SentForm, case: Case) -> str:
    wanted = act.one_of("act", ACTS)
    shown = await dossier_of(services.books, services.manifest, case)
    if shown.current is None:
        raise NothingToDecide(f"case {case.case_id} has no proposal")
    word = word_of(act, wanted, shown.current.proposal, shown.words)
    if wanted == "approve" and services.held.seconds:
        await services.held.hold(
            act.visit.person, case.tenant, case.case_id, act.text("digest"), word.note or ""
        )
        return "next"
    await services.desk.decide(act.visit.person, case.tenant, case.case_id, act.text("digest"), word)
    # After a revision the page waits for the new proposal; after every other decision it opens the next case.
    return "stay" if wanted in {"no_refund", "edit", "correct"} else "next"


def word_of(act: SentForm, wanted: str, proposal: Proposal, words: ReadWords) -> DecisionRequest:
    """The word in a form on what was proposed and read. BadDecision names the field."""
    note = clean_text(act.text("note")) or None
    match wanted:
        case "approve":
            return DecisionRequest("approve", note=note)
        case "reject":
            code: RejectCode = act.one_of("code", get_args(RejectCode))
            letter = clean_text(act.text("letter"))
            return DecisionRequest(
                "reject", code, note=note, letter=letter if letter not in {"", rejection(code)} else None
            )
        case "ask":
            asks: Asked = act.one_of("asks", get_args(Asked))
            return DecisionRequest("revise", note=note, asks=asks)
        case "send_back":
            if note is None:
                raise BadDecision("note: say what is to be different")
            return DecisionRequest("revise", note=note)
        case "no_refund":
            if proposal.kind != "refund":
                raise BadDecision("amount: this proposal has no refund to leave out")
            return DecisionRequest("revise", revised_amount_minor=0, note=note)
        case "correct":
            return DecisionRequest("revise", note=note, correction=correction_in(act, words))
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
            raise BadDecision(f"amount: {error}") from None
    units = _units(act)
    others = units is not None and counted(units) != counted(proposal.units)
    word = DecisionRequest(
        "revise",
        note=note,
        revised_amount_minor=amount if others or amount != proposal.amount.amount_minor else None,
        revised_units=units if others else None,
        revised_reply=reply if reply != proposal.draft else None,
    )
    if (word.revised_amount_minor, word.revised_units, word.revised_reply) == (None, None, None):
        raise BadDecision("edit: nothing is different from the proposal on the screen")
    return word


def correction_in(act: SentForm, words: ReadWords) -> Correction:
    """What a form says that the customer asks: the ask that was changed, and the others that stay as they were read."""
    kind: AskKind = act.one_of("ask", get_args(AskKind))
    money: MoneyWish = act.one_of("money", get_args(MoneyWish)) if kind in MONEY_ASKS else "open"
    about = act.text("order_id")
    scope = act.one_of("scope", ("all", "some", "open"))
    lines: dict[str, tuple[Units, ...] | None] = {"all": None, "some": _units(act) or (), "open": ()}
    cause: Cause | None = act.one_of("cause", get_args(Cause)) if act.text("cause") else None
    wanted = money == "wanted"
    if wanted and scope == "some" and about != act.text("lines_of"):
        raise BadDecision(
            "lines: these are of another order than the one chosen: choose all of it, or that order"
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


def _units(act: SentForm) -> tuple[Units, ...] | None:
    """How many of each line the form asks for; None where it shows no lines."""
    fields = [name.removeprefix("units:") for name in act.form if name.startswith("units:")]
    if not fields:
        return None
    found = []
    for line_id in fields:
        said = act.text(f"units:{line_id}").strip() or "0"
        if not said.isdecimal() or len(said) > QUANTITY_DIGITS:
            raise BadDecision("lines: how many of each, as a whole number")
        if int(said):
            found.append(Units(LineId(line_id), int(said)))
    return tuple(found)


@router.post("/cases/{case_id}/take-back")
async def take_back(request: Request, case_id: str, services: Opened, act: Deciding) -> Response:
    """Take an approval back that has not been given yet."""
    return await _do(request, services, act, case_id, _take_back)


async def _take_back(services: DeskServices, act: SentForm, case: Case) -> str:
    await services.held.take_back(act.visit.person, case.tenant, case.case_id)
    return "stay"


@router.post("/cases/{case_id}/claim")
async def take(request: Request, case_id: str, services: Opened, act: Deciding) -> Response:
    """Take the case in hand, or give it back."""
    return await _do(request, services, act, case_id, _take)


async def _take(services: DeskServices, act: SentForm, case: Case) -> str:
    if act.text("act") == "give_back":
        await release_claim(services.books, act.visit.person, case.tenant, case.case_id)
    else:
        await claim(services.books, act.visit.person, case.tenant, case.case_id)
    return "stay"


@router.post("/cases/{case_id}/hand-over")
async def hand_over(request: Request, case_id: str, services: Opened, act: Deciding) -> Response:
    """Hand the case to a colleague or a team."""
    return await _do(request, services, act, case_id, _hand_over)


async def _hand_over(services: DeskServices, act: SentForm, case: Case) -> str:
    to, team = act.text("to"), act.text("to").removeprefix("team:")
    role: Authority | None = next((known for known in get_args(Authority) if known == team), None)
    person = PersonId(to) if not to.startswith("team:") and to else None
    note = clean_text(act.text("note"))
    await assign(services.books, act.visit.person, case.tenant, case.case_id, person, role, note)
    return "next"


@router.post("/cases/{case_id}/take-over")
async def take_over(request: Request, case_id: str, services: Opened, act: Deciding) -> Response:
    """End a hand-over: reply, propose a refund that somebody else decides, or close."""
    return await _do(request, services, act, case_id, _take_over)


async def _take_over(services: DeskServices, act: SentForm, case: Case) -> str:
    wanted: TakeoverAct = act.one_of("act", get_args(TakeoverAct))
    amount = None
    if wanted == "propose":
        shown = await dossier_of(services.books, services.manifest, case)
        if shown.order is None or not shown.order.payments:
            raise BadDecision("amount: this case names no order of its customer, so nothing can be paid back")
        try:
            amount = read_amount(act.text("amount"), shown.order.currency).amount_minor
        except ValueError as error:
            raise BadDecision(f"amount: {error}") from None
    reply = "" if wanted == "close" else act.text("reply")
    requested = TakeoverRequest(
        wanted, reply, amount, clean_text(act.text("note")), act.text("digest") or None
    )
    await take_case_over(services.desk, act.visit.person, case.tenant, case.case_id, requested)
    return "next"


@router.post("/cases/{case_id}/message")
async def write(request: Request, case_id: str, services: Opened, act: Deciding) -> Response:
    """Add what the customer or a colleague answered; the case goes on where it waits for that."""
    return await _do(request, services, act, case_id, _write)


async def _write(services: DeskServices, act: SentForm, case: Case) -> str:
    author: Asked = act.one_of("author", get_args(Asked))
    text = clean_text(act.text("text"))
    await add_message(services.books, act.visit.person, case.tenant, case.case_id, uuid4(), author, text)
    return "stay"


@router.post("/cases/{case_id}/return")
async def note_return(request: Request, case_id: str, services: Opened, act: Deciding) -> Response:
    """Note that goods have come back, and how."""
    return await _do(request, services, act, case_id, _note_return)


async def _note_return(services: DeskServices, act: SentForm, case: Case) -> str:
    condition: ReturnCondition = act.one_of("condition", get_args(ReturnCondition))
    units = _units(act) or ()
    try:
        arrival_id = UUID(act.text("arrival_id"))
    except ValueError:
        raise BadDecision("arrival_id: open the page again") from None
    await note_arrival(
        services.books, act.visit.person, case.tenant, case.case_id, arrival_id, units, condition
    )
    return "stay"


@router.post("/cases/{case_id}/second-review")
async def second_review(request: Request, case_id: str, services: Opened, act: Deciding) -> Response:
    """What a colleague says of a decided case."""
    return await _do(request, services, act, case_id, _second_review)


async def _second_review(services: DeskServices, act: SentForm, case: Case) -> str:
    verdict: SecondVerdict = act.one_of("verdict", get_args(SecondVerdict))
    note = clean_text(act.text("note"))
    await review_again(services.books, act.visit.person, case.tenant, case.case_id, verdict, note)
    return "stay"


async def _do(request: Request, services: DeskServices, act: SentForm, case_id: str, do: Any) -> Response:  # noqa: ANN401
    """Do it and open what comes next; where it is refused, say so beside what was typed."""
    case = await find_case(services.books, act.visit.person, case_id)
    try:
        then = await do(services, act, case)
    except BESIDE_THE_FORM as error:
        status = status_of(error)
        if is_fragment(request):
            return said(request, str(error), status)
        return await _screen(request, services, act.visit, case, message=str(error), status=status, typed=act)
    within = {"within": within_in(act.text("within"))} if act.text("within") else {}
    if then == "next":
        return go(request, f"/next?{urlencode({'after': str(case.case_id), **within})}")
    return go(request, f"/cases/{case.case_id}{'?' + urlencode(within) if within else ''}")


def within_in(text: str) -> str:
    """The filters that a case was opened from, as its address carries them along."""
    return text if len(text) <= WITHIN_LIMIT and text.isprintable() else ""


async def _screen(
    request: Request,
    services: DeskServices,
    visit: Visit,
    case: Case,
    *,
    message: str = "",
    status: int = 200,
    typed: SentForm | None = None,
    done: str | None = None,
) -> Response:
    language = reads(request)
    shown = await dossier_of(services.books, services.manifest, case, language)
    async with services.books.transaction(case.tenant) as books:
        deciders = await books.rows("deciders")
        orders = await customer_orders(books, case.customer_id, case.order_id) if shown.deciding else ()
    mine = bool(visit.person.roles_in(case.tenant) & DECIDERS)
    no_yes = may_say_yes(visit.person, shown, language)
    held = await held_of(services.books, case.tenant, case.case_id)
    missed = (
        held.why
        if held
        and held.word == "refused"
        and shown.deciding
        and shown.current
        and (shown.current.digest == held.digest)
        else ""
    )
    held = held if held and not held.word else None
    if mine and not no_yes and shown.current is not None and shown.current.proposal.kind != "handoff":
        no_yes = await services.desk.refusal_of(visit.person, case.tenant, case.case_id, shown.current.digest)
    return page(
        request,
        "case.html",
        visit,
        status,
        shown=shown,
        message=message or (f"The approval did not count: {missed}." if missed else ""),
        typed=typed,
        done=done,
        decides_here=mine,
        no_yes=no_yes,
        held=held,
        within=within_in(typed.text("within") if typed else request.query_params.get("within", "")),
        confirm=confirms(shown),
        letters={code: rejection(code, shown.left) for code in get_args(RejectCode)},
        colleagues=_colleagues(deciders, visit.person),
        asked=ASKED,
        ask_kinds=get_args(AskKind),
        wishes=get_args(MoneyWish),
        causes=get_args(Cause),
        orders=orders,
        conditions=get_args(ReturnCondition),
        arrival_id=uuid4(),
        me=visit.person.person,
    )


def confirms(shown: Dossier) -> bool:
    """Whether Approve asks once more: from the amount on that takes a specialist."""
    return shown.current is not None and shown.current.proposal.amount.amount_minor >= SPECIALIST_FROM_MINOR


def _colleagues(rows: list[Any], me: Person) -> list[str]:
    return sorted({row["person"] for row in rows} - {me.person})
