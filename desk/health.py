"""Health: does the process answer, can the house work, and in numbers."""

import asyncio
import time
from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from desk.agent_meters import AgentMeters, agents_hour
from desk.authentication import desk_services
from desk.schemas import Acknowledged, Ready
from desk.services import DeskServices
from records.books import BooksAway, Row
from runtime.startup import CannotWork, check_connection

router = APIRouter(tags=["health"])

STALLED_PASSES = 3
"""So many passes in a row in which a disbursement could not be brought forward."""

HEARD_SECONDS: Mapping[str, float] = {"graph": 15.0, "cashier": 15.0, "anchorer": 15.0}
"""A process that was not heard from for longer is not there."""

MOST_FOUND = 1_000
READY_SECONDS = 5.0
FRESH_SECONDS = 10.0


class Meters:
    """The numbers of this process, and those that the books give when they are asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._answers = Counter("desk_answers", "Requests answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "desk_answer_seconds", "Time to answer a request.", ("method", "route"), registry=self.registry
        )
        self._cases = Gauge("countersign_cases", "Cases by status.", ("status",), registry=self.registry)
        self._jobs = Gauge(
            "countersign_jobs", "Jobs by queue and status.", ("queue", "status"), registry=self.registry
        )
        self._heard = Gauge(
            "countersign_heard_seconds",
            "Seconds since a process was heard from.",
            ("process",),
            registry=self.registry,
        )
        self._found = Gauge(
            "countersign_found_refunds",
            "Refunds at the provider that these books do not know and nobody has said what they are.",
            registry=self.registry,
        )
        self._unsent = Gauge(
            "countersign_unsent_replies", "Replies that have not gone out.", registry=self.registry
        )
        self._anchored = Gauge(
            "countersign_anchored_seconds", "Seconds since the audit was signed.", registry=self.registry
        )
        self._anchored.set(-1)  # never, so far
        self._agent = AgentMeters(self.registry)
        self._looking = asyncio.Lock()
        self._looked = -FRESH_SECONDS

    async def _show_agent(self, services: DeskServices) -> None:
        """The agent's numbers, read again only when they are old, so that frequent scrapes cost the books nothing."""
        async with self._looking:
            if time.monotonic() - self._looked < FRESH_SECONDS:
                return
            self._agent.show(await agents_hour(services.books))
            self._looked = time.monotonic()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._answers.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    async def text(self, services: DeskServices) -> bytes:
        """The exposition; over all tenants, naming none."""
        cases: dict[str, int] = {}
        unsent = found = 0
        for tenant in await services.books.tenants():
            async with services.books.transaction(tenant) as tx:
                for row in await tx.rows("cases_by_status"):
                    cases[row["status"]] = cases.get(row["status"], 0) + row["cases"]
                waiting = await tx.row("unsent_replies")
                unsent += waiting["replies"] if waiting else 0
                found += len(await tx.rows("found_refunds", most=MOST_FOUND))
        await self._show_agent(services)
        async with services.books.transaction() as tx:
            jobs = await tx.rows("jobs_by_status")
            heard = await tx.rows("heard_from")
            anchored = await tx.row("last_anchored")
        self._cases.clear()
        for status, count in cases.items():
            self._cases.labels(status).set(count)
        self._jobs.clear()
        for row in jobs:
            self._jobs.labels(row["queue"], row["status"]).set(row["jobs"])
        for row in heard:
            self._heard.labels(row["process"]).set(row["seconds_ago"])
        self._unsent.set(unsent)
        self._found.set(found)
        if anchored is not None and anchored["seconds_ago"] is not None:
            self._anchored.set(anchored["seconds_ago"])
        return generate_latest(self.registry)


@router.get("/healthz")
async def healthz() -> Acknowledged:
    """The process answers."""
    return Acknowledged()


@router.get("/readyz", responses={503: {"model": Ready}})
async def readyz(request: Request, response: Response) -> Ready:
    """Whether the house can work: the database, its schema, and each process heard from."""
    parts = await parts_of(desk_services(request))
    ready = all(said == "ok" for said in parts.values())
    response.status_code = 200 if ready else 503
    return Ready(ready=ready, parts=parts)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> PlainTextResponse:
    """The numbers of the house, for Prometheus."""
    meters: Meters = request.app.state.meters
    text = await meters.text(desk_services(request))
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


async def parts_of(services: DeskServices) -> dict[str, str]:
    """What works and what does not, part by part."""
    parts = {"database": "ok", "schema": "ok"}
    try:
        async with asyncio.timeout(READY_SECONDS), services.books.transaction() as tx:
            try:
                await check_connection(tx.connection)
            except CannotWork as error:
                parts["schema"] = str(error)
                return parts
            heard = {row["process"]: row["seconds_ago"] for row in await tx.rows("heard_from")}
        stalled = await _stalled(services)
    except (BooksAway, TimeoutError) as error:
        return {"database": str(error) or "no answer in time"}
    for process, within in HEARD_SECONDS.items():
        ago = heard.get(process)
        parts[process] = "ok" if ago is not None and ago <= within else "not heard from"
    parts["disbursements"] = stalled
    return parts


async def _stalled(services: DeskServices) -> str:
    """Which disbursement the cashier could not bring forward pass after pass, in a sentence; ok without one."""
    stalled: list[Row] = []
    for tenant in await services.books.tenants():
        stalled += await services.books.read_once(tenant, "stalled_orders", passes=STALLED_PASSES, most=100)
    if not stalled:
        return "ok"
    first, more = stalled[0], f", and {len(stalled) - 1} more" if len(stalled) > 1 else ""
    return (
        f"disbursement {first['decision_id']} of case {first['ticket_id']} could not be brought forward in"
        f" {first['passes']} passes: {first['why'][:200]}{more}"
    )
