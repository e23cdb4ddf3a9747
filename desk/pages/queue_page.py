"""The queue: what waits for whom, first what matters most; each row changes by itself."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import Response, StreamingResponse

from desk.catalogue import N_, _
from desk.dossier import ASKED
from desk.held_approvals import held_of
from desk.live import TooMany, Watcher
from desk.notes import BadDecision, storable
from desk.pages.case_page import WITHIN_LIMIT
from desk.pages.forms import Opened, SentForm, actor, visitor
from desk.pages.render import go, page
from desk.people import DECIDERS, NotSignedIn, Person
from desk.plain_words import PLAIN, plain_word
from desk.queue import (
    Filters,
    NoSuchCase,
    QueuePage,
    Sort,
    cases_waiting,
    ended_found,
    find_case,
    goods_awaited,
    queue_page,
)
from desk.saved_views import save_view, saved_views
from desk.services import DeskServices
from desk.sessions import Visit, visit_of
from policies.deadlines import urgency
from records.books import BooksAway, Row
from records.snapshots import current_proposal, snapshot_now
from refunds.ids import TenantId
from refunds.money import Currency, read_amount
from refunds.vocabulary import BlockReason, BypassReason, HandoffReason, Intent

router = APIRouter(include_in_schema=False)
Visiting = Annotated[Visit, Depends(visitor("cases:read"))]

PAGE = 50
LOOK_AHEAD = 500
"""How far down the queue the next case is looked for."""

ELSEWHERE = 20
"""Ended cases, as many as a search lists beside those that wait."""

TRIED = 20
"""Cases that are tried one by one, before the next is opened as it stands."""

FILTERS = frozenset(
    {"search", "stage", "tenant", "least", "most", "older", "reason", "intent", "mine", "sort"}
)

AWAITED = 50
"""Cases that wait for goods, as many as the page lists."""

STAGES = {0: N_("to decide"), 1: N_("to take up"), 2: N_("waiting for an answer")}
SORTS: dict[Sort, str] = {
    "newest": N_("newest first"),
    "oldest": N_("oldest first"),
    "amount": N_("largest amount first"),
    "due": N_("due soonest first"),
}
TIERS = {1: N_("premium"), 2: N_("vip")}
REASONS = (*get_args(HandoffReason), *get_args(BypassReason), *get_args(BlockReason), *ASKED)
KEEP_ALIVE_SECONDS = 15.0
TIDY = Currency("USD")


@dataclass(frozen=True, slots=True)
class QueueQuery:
    """What the visitor asked for, as it stands in the address of the page."""

    filters: Filters
    number: int
    typed: dict[str, str]
    """The fields as they were typed, for the form."""

    def address(self, number: int | None = None, **changed: str) -> str:
        """The address of this view of the queue with some filters changed, or of another page of it."""
        fields = {name: value for name, value in (self.typed | changed).items() if value}
        if number is not None and number > 1:
            fields["page"] = str(number)
        return "/?" + urlencode(fields) if fields else "/"

    @property
    def within(self) -> str:
        """What a case's address says of the filters that it was opened from."""
        fields = {name: value for name, value in self.typed.items() if value}
        return "?" + urlencode({"within": urlencode(fields)}) if fields else ""


def queue_query(
    search: Annotated[str, Query(max_length=200)] = "",
    stage: Annotated[str, Query(max_length=2)] = "",
    tenant: Annotated[str, Query(max_length=128)] = "",
    least: Annotated[str, Query(max_length=16)] = "",
    most: Annotated[str, Query(max_length=16)] = "",
    older: Annotated[str, Query(max_length=6)] = "",
    reason: Annotated[str, Query(max_length=100)] = "",
    intent: Annotated[str, Query(max_length=32)] = "",
    mine: Annotated[str, Query(max_length=4)] = "",
    sort: Annotated[str, Query(max_length=8)] = "",
    number: Annotated[int, Query(alias="page", ge=1, le=20_000)] = 1,
) -> QueueQuery:
    """The filters of the address. BadDecision names the one that is none."""
    typed = {
        "search": search, "stage": stage, "tenant": tenant, "least": least, "most": most, "older": older,
        "reason": reason, "intent": intent, "mine": mine, "sort": sort,
    }  # fmt: skip
    if sort and sort not in get_args(Sort):
        raise BadDecision(_("sort: one of %(sorts)s", sorts=", ".join(get_args(Sort))))
    if intent and intent not in get_args(Intent):
        raise BadDecision(_("intent: one of %(intent)s", intent=", ".join(get_args(Intent))))
    wanted: Intent | None = next((known for known in get_args(Intent) if known == intent), None)
    filters = Filters(
        tenant=TenantId(tenant) if tenant else None,
        stage=_number(stage, "stage", 2),
        search=storable(search.strip(), "search") or None,
        least_minor=_amount(least, "least"),
        most_minor=_amount(most, "most"),
        older_hours=_number(older, "older", 87_600),
        reason=_word_of(storable(reason.strip(), "reason") or ""),
        intent=wanted,
        mine=bool(mine),
        sort=next((known for known in get_args(Sort) if known == sort), None),
    )
    return QueueQuery(filters, number, typed)


def _word_of(said: str) -> str | None:
    """The word of the vocabulary behind what a screen says for it; what is none stays as it was typed."""
    if not said or said in PLAIN:
        return said or None
    return next((word for word in PLAIN if plain_word(word).lower() == said.lower()), said)


Wanted = Annotated[QueueQuery, Depends(queue_query)]


def _number(text: str, field: str, most: int) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= most):
        raise BadDecision(_("%(field)s: a number from 0 to %(most)s", field=field, most=most))
    return int(text)


def _amount(text: str, field: str) -> int | None:
    if not text:
        return None
    try:
        return read_amount(text, TIDY).amount_minor
    except ValueError:
        raise BadDecision(_("%(field)s: an amount such as 79.00", field=field)) from None


@router.get("/")
async def queue(request: Request, services: Opened, visit: Visiting, wanted: Wanted) -> Response:
    """The first page of the desk."""
    found = await _found(services, visit.person, wanted)
    done = request.query_params.get("done", "")
    awaited = await goods_awaited(services.books, visit.person, most=AWAITED)
    shown = _shown(found, visit.person, wanted)
    elsewhere = await _elsewhere(services, visit.person, wanted)
    return page(
        request,
        "queue.html",
        visit,
        **shown,
        awaited=awaited,
        elsewhere=elsewhere,
        done=done or None,
        views=await saved_views(services.books, visit.person),
        sorts=SORTS,
        reasons=sorted({plain_word(word) for word in REASONS}),
    )


@router.post("/views")
async def keep_view(
    request: Request, services: Opened, act: Annotated[SentForm, Depends(actor("cases:read"))]
) -> Response:
    """Keep the filters on the screen under a name, or take a view away."""
    address = within_of(act.text("within"), act.visit.person).address()
    kept = "" if act.text("act") == "remove" else address.partition("?")[2]
    if act.text("act") != "remove" and not kept:
        raise BadDecision(_("view: filter the queue first"))
    await save_view(services.books, act.visit.person, act.text("name"), kept)
    return go(request, address)


async def _elsewhere(services: DeskServices, person: Person, wanted: QueueQuery) -> list[Row]:
    """What a search finds that has ended, the newest first; on the first page of a search and nothing else."""
    typed = [name for name, value in wanted.typed.items() if value]
    if wanted.number > 1 or typed != ["search"] or wanted.filters.search is None:
        return []
    return await ended_found(services.books, person, wanted.filters.search, most=ELSEWHERE)


@router.get("/rows")
async def rows(request: Request, services: Opened, visit: Visiting, wanted: Wanted) -> Response:
    """The rows alone, as they are now: the page asks for them when something has changed."""
    found = await _found(services, visit.person, wanted)
    return page(request, "_rows.html", visit, **_shown(found, visit.person, wanted))


@router.get("/next")
async def open_next(
    request: Request,
    services: Opened,
    visit: Visiting,
    after: str = "",
    within: Annotated[str, Query(max_length=WITHIN_LIMIT)] = "",
) -> Response:
    """The next case that this person may decide, in the filter that they came from; the queue where there is none."""
    wanted = within_of(within, visit.person)
    rows = await cases_waiting(
        services.books, visit.person, every=False, most=LOOK_AHEAD, filters=wanted.filters
    )
    ids = [str(row["case_id"]) for row in rows]
    # Start behind the case that was open and wrap around, so that somebody who only looks reaches every case.
    start = ids.index(after) + 1 if after in ids else 0
    asked = 0
    for row in rows[start:] + rows[:start]:
        if str(row["case_id"]) == after or not _theirs(row, visit.person):
            continue
        asked += 1
        if asked > TRIED or await _may_approve(services, row, visit.person):
            told = {"done": after, "within": within}
            return go(request, f"/cases/{row['case_id']}?{urlencode({k: v for k, v in told.items() if v})}")
    return go(request, wanted.address(done=after))


def within_of(text: str, person: Person) -> QueueQuery:
    """The filters that a case was opened from; none where the text holds none that can be read, or not theirs."""
    known: dict[str, Any] = {name: value for name, value in parse_qsl(text) if name in FILTERS}
    if known.get("tenant", "") not in {"", *person.tenants}:
        return queue_query()
    try:
        return queue_query(**known)
    except BadDecision:
        return queue_query()


async def _may_approve(services: DeskServices, row: Row, person: Person) -> bool:
    """Whether this person's yes counts for what is proposed; what proposes nothing is anybody's to take up."""
    if row["stage"] != 0 or row["kind"] == "handoff":
        return True
    async with services.books.transaction(row["tenant"]) as tx:
        current = await current_proposal(tx, row["case_id"])
    if current is None:
        return True
    return not await services.desk.refusal_of(person, row["tenant"], row["case_id"], current.digest)


def _theirs(row: Row, person: Person) -> bool:
    """Whether there is something in a case for this person to do, and it is theirs or nobody's in particular."""
    roles = person.roles_in(row["tenant"])
    taken = row["owner"] not in {None, person.person}
    if (
        row["held"]
        or taken
        or row["voted"]
        or row["stage"] > 1
        or row["status"] == "refund_pending"
        or not roles & DECIDERS
    ):
        return False
    if row["for_person"]:
        return bool(row["for_person"] == person.person)
    return not row["for_role"] or row["for_role"] in roles


@router.get("/strip/{case_id}")
async def strip(request: Request, case_id: str, services: Opened, visit: Visiting) -> Response:
    """One line about a case that was just decided, read from the books."""
    case = await find_case(services.books, visit.person, case_id)
    snapshot = await snapshot_now(services.books, case.tenant, case.case_id)
    proposal = snapshot.current.proposal if snapshot.current else None
    held = await held_of(services.books, case.tenant, case.case_id)
    current = snapshot.current
    if held and (current is None or current.digest != held.digest or (held.word and current.decision)):
        held = None  # of another proposal, or decided since
    mine = held is not None and held.person == visit.person.person
    return page(
        request, "_strip.html", visit, case=case, snapshot=snapshot, proposal=proposal, held=held, mine=mine
    )


@router.get("/live")
async def live(request: Request, services: Opened, visit: Visiting) -> Response:
    """What moves, as it moves: ids of cases of the visitor's tenants."""
    tenants = frozenset(visit.person.tenants)

    async def stream() -> AsyncIterator[bytes]:
        try:
            with services.live.watch(tenants, visit.person.person) as watcher:
                yield format_sse_event(data_str="*", event="moved", retry=1_000)
                checked = time.monotonic()
                while (hint := await _next_hint(watcher)) is not None:
                    if time.monotonic() - checked >= KEEP_ALIVE_SECONDS:
                        checked = time.monotonic()
                        if not await _still_there(services, request, tenants):
                            return
                    yield format_sse_event(data_str=hint, event="moved") if hint else KEEPALIVE_COMMENT
        except TooMany:
            yield format_sse_event(data_str="", event="full", retry=60_000)

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _next_hint(watcher: Watcher) -> str | None:
    """The next case that moved; empty after a quiet while, None at the end."""
    try:
        return await asyncio.wait_for(watcher.moved.get(), KEEP_ALIVE_SECONDS)
    except TimeoutError:
        return ""


async def _still_there(services: DeskServices, request: Request, tenants: frozenset[TenantId]) -> bool:
    """Whether the session goes on with the same tenants; otherwise the page asks for a stream of its own again."""
    try:
        visit = await visit_of(services.books, request)
    except (NotSignedIn, BooksAway):
        return False
    return frozenset(visit.person.tenants) == tenants


async def _found(services: DeskServices, person: Person, wanted: QueueQuery) -> QueuePage:
    person_tenants = person.tenants
    if wanted.filters.tenant is not None and wanted.filters.tenant not in person_tenants:
        raise NoSuchCase(wanted.filters.tenant, person)
    return await queue_page(
        services.books, person, wanted.filters, most=PAGE, skip=PAGE * (wanted.number - 1)
    )


def _shown(found: QueuePage, person: Person, wanted: QueueQuery) -> dict[str, Any]:
    total = found.all if wanted.filters.stage is None else found.counts.get(wanted.filters.stage, 0)
    return {
        "rows": [
            {**row, "urgency": _urgency(row), "waits": row["reason"] in ASKED, "place": _place(row)}
            for row in found.rows
        ],
        "counts": found.counts,
        "total": total,
        "stages": {number: _(name) for number, name in STAGES.items()},
        "asked": wanted,
        "tenants": person.tenants,
        "intents": get_args(Intent),
        "pages": max(1, -(-total // PAGE)),
        "first": PAGE * (wanted.number - 1) + 1,
        "me": person.person,
    }


def _place(row: Row) -> str:
    """Why a row stands where it stands."""
    if row["burns"]:
        return _("urgent: law, safety, fraud, or the help desk says so")
    if row["wanted_by"]:
        return _("the help desk wants it by %(at)s UTC", at=row["wanted_by"])
    tier = TIERS.get(row["tier"])
    risk = _("risk %(risk)s of 3, by amount and age", risk=row["risk"])
    return f"{_(tier)}; {risk}" if tier else risk


def _urgency(row: Row) -> str:
    if row["expires_at"] is None or row["stage"] != 0:
        return "over" if row["now"] >= row["due_at"] else "calm"
    return urgency(row["proposed_at"], row["expires_at"], row["now"])
