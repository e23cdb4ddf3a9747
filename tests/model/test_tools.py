"""Tools as real as the model: the shop's own service over HTTP, a token for each call, and books that keep the money."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import uvicorn
from stage import Cluster, Stage, another_key, open_stage
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.house import home_private_key, home_trusted_keys
from app.shop import demo_orders
from graph.services import GraphServices
from policies.signature import PublicKeys, public_keys
from refunds.ids import CaseId, CustomerId, OrderId, TenantId
from tools.breaker import OPEN_AFTER, OPEN_SECONDS, Breaker
from tools.invocation import BadInvocation, Invocation, verified
from tools.order_service import OrderService, ServiceAnswer, gone_on


@dataclass
class ShopService:
    """A shop's own service: it answers whoever brings a token of the house for this very call."""

    keys: PublicKeys
    port: int = 0
    behaves: str = "ok"
    status: str = "delivered"
    asked: int = 0
    refused: list[str] = field(default_factory=list)
    claims: list[dict[str, object]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def order(self, request: Request) -> Response:
        self.asked += 1
        order_id = request.path_params["order_id"]
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            said = verified(
                token, self.keys, time.time(), tool="lookup_order", arguments={"order_id": order_id}
            )
        except BadInvocation as error:
            self.refused.append(str(error))
            return JSONResponse({"error": str(error)}, 403)
        self.claims.append(said)
        match self.behaves:
            case "500":
                return JSONResponse({}, 500)
            case "404":
                return JSONResponse({}, 404)
            case "hang":
                while (await request.receive())["type"] != "http.disconnect":
                    pass  # until the tool has given up
            case "html":
                return Response("<html>", media_type="text/html")
            case "another":
                return JSONResponse({"order_id": order_id, "customer_id": "C999", "status": "delivered"})
        etag = f'"{self.status}"'
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"etag": etag})
        told = {
            "order_id": order_id,
            "customer_id": said["customer"],
            "status": self.status,
            "delivered_at": datetime.now(UTC).isoformat(),
            "amount_minor": 999_999,
            "payee": "me",
        }
        return JSONResponse(told, headers={"etag": etag})


@contextmanager
def serving(service: ShopService) -> Iterator[ShopService]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        service.port = int(listening.getsockname()[1])
        app = Starlette(routes=[Route("/orders/{order_id}", service.order)])
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
        thread.start()
        try:
            yield service
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.fixture(name="shop")
def _shop(cluster: Cluster) -> Iterator[ShopService]:
    with serving(ShopService(home_trusted_keys(cluster.home, "tools"))) as service:
        yield service


def with_service(cluster: Cluster, shop: ShopService, ticks: Any = time.monotonic) -> Any:
    def equip(services: GraphServices) -> GraphServices:
        return replace(
            services, orders=OrderService(shop.url, home_private_key(cluster.home, "tools"), ticks)
        )

    return equip


def invocation(**changes: Any) -> Invocation:
    given: dict[str, Any] = {
        "case_id": CaseId(uuid4()),
        "tenant": TenantId("demo"),
        "customer_id": CustomerId("C100"),
        "release": "r",
        "step": 2,
        "tool": "lookup_order",
        "arguments": {"order_id": "D300"},
    }
    return Invocation(**(given | changes))


async def test_a_second_source_says_how_an_order_goes_on_and_never_what_it_cost(
    cluster: Cluster, url: str, tmp_path: Any, shop: ShopService
) -> None:
    async with open_stage(cluster.home, url, tmp_path, equip=with_service(cluster, shop)) as stage:
        case, state = await stage.paused()
        proposal: Any = state["proposal"]
        assert proposal["amount_minor"] == 7_900
        assert shop.asked == 1
        said = shop.claims[0]
        assert (said["case"], said["tenant"], said["customer"]) == (str(case.case_id), "demo", "C100")
        assert int(str(said["exp"])) - int(str(said["iat"])) == 60
        # Fresh for a while: the next case of the same order asks nobody.
        await stage.run(
            await stage.submit(question="What is the return policy for my tablet?", intent="policy_question")
        )
        assert shop.asked == 1


@pytest.mark.parametrize("behaves", ["500", "hang", "html", "another"])
async def test_a_source_that_is_away_or_wrong_leaves_the_books_to_answer(
    cluster: Cluster, url: str, tmp_path: Any, shop: ShopService, behaves: str
) -> None:
    shop.behaves = behaves
    async with open_stage(cluster.home, url, tmp_path, equip=with_service(cluster, shop)) as stage:
        case, state = await stage.paused()
        assert state["reason"] == "draft_ready_for_review"
        found = await stage.sql("select kind from books.findings where case_id = %s", case.case_id)
        assert [row["kind"] for row in found] == ["fallback_source"]


async def test_an_order_that_the_source_does_not_know_is_a_contradiction_for_the_reviewer(
    cluster: Cluster, url: str, tmp_path: Any, shop: ShopService
) -> None:
    shop.behaves = "404"
    async with open_stage(cluster.home, url, tmp_path, equip=with_service(cluster, shop)) as stage:
        case, _ = await stage.paused()
        found = await stage.sql("select kind from books.findings where case_id = %s", case.case_id)
        assert [row["kind"] for row in found] == ["contradiction"]


async def test_what_is_kept_is_asked_again_after_its_time_and_changes_with_the_source(
    cluster: Cluster, shop: ShopService
) -> None:
    now = [0.0]
    service = OrderService(shop.url, home_private_key(cluster.home, "tools"), lambda: now[0])
    shop.status = "shipped"
    first = await service.told_of(invocation(), "D300")
    shop.status = "delivered"
    assert await service.told_of(invocation(), "D300") == first
    now[0] += 20
    second = await service.told_of(invocation(), "D300")
    assert second is not None
    assert second.status == "delivered"
    now[0] += 20
    assert await service.told_of(invocation(), "D300") == second
    assert shop.asked == 3
    await service.close()


def test_a_forged_stale_or_foreign_token_is_refused(cluster: Cluster) -> None:
    key, keys = home_private_key(cluster.home, "tools"), home_trusted_keys(cluster.home, "tools")
    now = time.time()
    good = invocation().token(key, now)
    wanted: dict[str, Any] = {"tool": "lookup_order", "arguments": {"order_id": "D300"}}
    assert verified(good, keys, now, **wanted)["case"]
    forged = invocation().token(another_key(key.kid), now)
    foreign = public_keys([{**key.public(), "tenants": ["rival"]}])
    for token, trusted, at, asked in (
        (forged, keys, now, wanted),
        ("", keys, now, wanted),
        (good[:-3] + "abc", keys, now, wanted),
        (good, keys, now + 61, wanted),
        (good, keys, now - 30, wanted),
        (good, foreign, now, wanted),
        (good, keys, now, {**wanted, "tool": "issue_refund"}),
        (good, keys, now, {**wanted, "arguments": {"order_id": "D301"}}),
    ):
        with pytest.raises(BadInvocation):
            verified(token, trusted, at, **asked)


async def test_a_key_that_is_not_the_houses_is_refused_by_the_service_and_the_books_answer(
    cluster: Cluster, url: str, tmp_path: Any, shop: ShopService
) -> None:
    def equip(services: GraphServices) -> GraphServices:
        return replace(
            services, orders=OrderService(shop.url, another_key(home_private_key(cluster.home, "tools").kid))
        )

    async with open_stage(cluster.home, url, tmp_path, equip=equip) as stage:
        _, state = await stage.paused()
        assert state["reason"] == "draft_ready_for_review"
        assert shop.refused == ["no key of the house signed it"]


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_try() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    for _ in range(OPEN_AFTER):
        assert breaker.lets_through()
        breaker.failed()
    assert not breaker.lets_through()
    now[0] += OPEN_SECONDS
    assert breaker.lets_through()
    assert not breaker.lets_through()
    breaker.worked()
    assert breaker.lets_through()


def test_an_order_never_goes_back_and_its_money_never_changes() -> None:
    orders = {order.order_id: order for order in demo_orders(datetime.now(UTC))}
    delivered, pending = orders[OrderId("D300")], orders[OrderId("D304")]
    told = ServiceAnswer(order_id="x", customer_id="x", status="pending")
    assert gone_on(delivered, told) == delivered
    shipped = gone_on(pending, told.model_copy(update={"status": "shipped"}))
    assert (shipped.status, shipped.lines, shipped.payments) == ("shipped", pending.lines, pending.payments)
    assert gone_on(shipped, told) == shipped
    for day in (datetime(2099, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC), None):
        assert (
            gone_on(shipped, told.model_copy(update={"status": "delivered", "delivered_at": day})) == shipped
        )


async def test_staging_reads_and_drafts_nothing(cluster: Cluster, url: str, tmp_path: Any) -> None:
    async with mode_stage(cluster, url, tmp_path, "staging") as stage:
        case, state = await stage.paused()
        proposal: Any = state["proposal"]
        assert (proposal["kind"], proposal["reason"]) == ("handoff", "staging")
        assert [row["result"] for row in state["trace"]] == ["grounded", "found"]
        assert (await stage.sql("select mode::text from books.cases where case_id = %s", case.case_id))[0][
            "mode"
        ] == "staging"


async def test_dry_run_does_everything_but_pay_and_write(cluster: Cluster, url: str, tmp_path: Any) -> None:
    async with mode_stage(cluster, url, tmp_path, "dry_run") as stage:
        case = await stage.approved()
        state = await stage.run(case)
        assert (state["status"], state["reason"]) == ("approved", "dry_run")
        await stage.finish()
        assert await stage.count("disbursements") == 0
        assert stage.refunds() == 0
        from desk.channels import FileChannel
        from desk.follow_ups import FollowUps
        from desk.outbox import Outbox

        outbox = Outbox(
            stage.house.desk_books,
            FileChannel(tmp_path / "out", "a@shop.example"),
            "shop.example",
            FollowUps(stage.house.desk_books, stage.house.intake),
        )
        await outbox.answer(case.tenant, case.case_id)
        assert await outbox.sweep() == 0
        assert await stage.count("replies") == 0
        # Nor does it where a program forgets: Postgres refuses what has no effect outside.
        import psycopg

        with pytest.raises(psycopg.DatabaseError, match="blocked:mode"):
            await stage.sql(
                "insert into books.replies (tenant, case_id, outcome, round, message_id, recipient_sha256, body, body_sha256)"
                " values ('demo', %s, 'approved', 1, 'm', repeat('0', 64), 'x', repeat('0', 64))",
                case.case_id,
            )


def mode_stage(cluster: Cluster, url: str, folder: Any, mode: Any) -> Any:
    def equip(services: GraphServices) -> GraphServices:
        return replace(services, mode=mode)

    return open_stage(cluster.home, url, folder, equip=equip)


async def test_production_is_what_a_case_is_where_nothing_is_said(stage: Stage) -> None:
    case, _ = await stage.paused()
    assert case.mode == "production"
    assert (await stage.sql("select mode from books.cases"))[0]["mode"] is None
