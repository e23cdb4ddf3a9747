"""One case on one screen, and what a person does with it. Each form names the digest that was on the screen."""

from typing import Annotated, Any, get_args
from urllib.parse import urlencode
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from desk.arrivals import note_arrival
from desk.assignments import assign, least_loaded
from desk.case_notes import write_note
from desk.catalogue import _
from desk.claims import claim, release_claim
from desk.decisions import NothingToDecide
from desk.dossier import ASKED, Dossier, dossier_of
from desk.held_approvals import held_of
from desk.notes import BadDecision, clean_text
from desk.pages.case_forms import ACTS, takeover_in, units_in, word_of
from desk.pages.forms import Opened, SentForm, actor, visitor
from desk.pages.render import go, is_fragment, page, said
from desk.people import DECIDERS
from desk.queue import find_case
from desk.refusals import BESIDE_THE_FORM, status_of
from desk.second_reviews import review_again
from desk.seen_checks import keep_seen
from desk.services import DeskServices
from desk.sessions import Visit
from desk.takeovers import take_case_over
from desk.viewers import note_viewing
from policies.authority import SPECIALIST_FROM_MINOR
from records.cases import Case
from records.orders import customer_orders
from refunds.ids import PersonId
from refunds.vocabulary import (
    Asked,
    AskKind,
    Authority,
    Cause,
    MoneyWish,
    ReturnCondition,
    SecondVerdict,
)

router = APIRouter(include_in_schema=False)
Visiting = Annotated[Visit, Depends(visitor("cases:read"))]
Deciding = Annotated[SentForm, Depends(actor("cases:decide"))]

WITHIN_LIMIT = 600


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
    others = await note_viewing(services.books, visit.person, case.tenant, case.case_id)
    return page(
        request, "_status.html", visit, shown=shown, digest=digest, me=visit.person.person, others=others
    )


@router.post("/cases/{case_id}/decide")
async def decide(request: Request, case_id: str, services: Opened, act: Deciding) -> Response:
    """A word on the proposal whose digest was on the screen."""
    return await _do(request, services, act, case_id, _decide)


async def _decide(services: DeskServices, act: SentForm, case: Case) -> str:
    wanted = act.one_of("act", ACTS)
    shown = await dossier_of(services.books, services.manifest, case)
    if shown.current is None:
        raise NothingToDecide(_("case %(case)s has no proposal", case=case.case_id))
    word = word_of(act, wanted, shown.current.proposal, shown)
    if shown.current.digest == act.text("digest"):
        await keep_seen(
            services.books,
            act.visit.person,
            case.tenant,
            case.case_id,
            digest=shown.current.digest,
            word=word.word,
            effect=shown.effect,
            checks=shown.checks,
        )
    if wanted == "approve" and services.held.seconds:
        await services.held.hold(
            act.visit.person, case.tenant, case.case_id, act.text("digest"), word.note or ""
        )
        return "next"
    await services.desk.decide(act.visit.person, case.tenant, case.case_id, act.text("digest"), word)
    # After a revision the page waits for the new proposal; after every other decision it opens the next case.
    return "stay" if wanted in {"no_refund", "edit", "correct"} else "next"


@router.post("/cases/{case_id}/take-back")
async def take_back(request: Request, case_id: str, services: Opened, act: Deciding) -> Response:
    """Take an approval back that has not been given yet."""
    return await _do(request, services, act, case_id, _take_back)


async def _take_back(services: DeskServices, act: SentForm, case: Case) -> str:
    await services.held.take_back(act.visit.person, case.tenant, case.case_id)
    return f"/cases/{case.case_id}?done={case.case_id}"


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
    if to == "least":
        to = await least_loaded(services.books, act.visit.person, case.tenant, case.case_id)
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
    shown = await dossier_of(services.books, services.manifest, case)
    requested = takeover_in(act, shown)
    await take_case_over(services.desk, act.visit.person, case.tenant, case.case_id, requested)
    return "next"


@router.post("/cases/{case_id}/note")
async def note(request: Request, case_id: str, services: Opened, act: Deciding) -> Response:
    """Tell colleagues something of the case."""
    return await _do(request, services, act, case_id, _note)


async def _note(services: DeskServices, act: SentForm, case: Case) -> str:
    await write_note(services.books, act.visit.person, case.tenant, case.case_id, act.text("note"))
    return "stay"


@router.post("/cases/{case_id}/message")
async def write(request: Request, case_id: str, services: Opened, act: Deciding) -> Response:
    """Add what the customer or a colleague answered; the case goes on where it waits for that."""
    return await _do(request, services, act, case_id, _write)


async def _write(services: DeskServices, act: SentForm, case: Case) -> str:
    author: Asked = act.one_of("author", get_args(Asked))
    text = clean_text(act.text("text"))
    person = act.visit.person
    wrote = await services.answers.take(person, case.tenant, case.case_id, uuid4(), author, text)
    return "stay" if wrote.case_id == case.case_id else f"/cases/{wrote.case_id}"


@router.post("/cases/{case_id}/return")
async def note_return(request: Request, case_id: str, services: Opened, act: Deciding) -> Response:
    """Note that goods have come back, and how."""
    return await _do(request, services, act, case_id, _note_return)


async def _note_return(services: DeskServices, act: SentForm, case: Case) -> str:
    condition: ReturnCondition = act.one_of("condition", get_args(ReturnCondition))
    units = units_in(act) or ()
    try:
        arrival_id = UUID(act.text("arrival_id"))
    except ValueError:
        raise BadDecision(_("arrival_id: open the page again")) from None
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
    if then.startswith("/"):
        return go(request, then)
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
    shown = await dossier_of(services.books, services.manifest, case)
    others = await note_viewing(services.books, visit.person, case.tenant, case.case_id)
    async with services.books.transaction(case.tenant) as books:
        colleagues = [
            row for row in await books.rows("load_of_deciders") if row["person"] != visit.person.person
        ]
        orders = await customer_orders(books, case.customer_id, case.order_id) if shown.deciding else ()
    mine = bool(visit.person.roles_in(case.tenant) & DECIDERS)
    no_yes = shown.refusal_for(visit.person)
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
        message=message or (_("The approval did not count: %(why)s.", why=missed) if missed else ""),
        typed=typed,
        done=done,
        decides_here=mine,
        no_yes=no_yes,
        held=held,
        within=within_in(typed.text("within") if typed else request.query_params.get("within", "")),
        confirm=confirms(shown),
        colleagues=colleagues,
        others=others,
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
