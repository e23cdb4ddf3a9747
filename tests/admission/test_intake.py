"""The intake: verified once, when the case row is inserted; and the job that is enqueued with it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import procrastinate
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import CRACKED, Stage, another_key

from app.house import home_private_key
from desk.intake import Intake
from graph.admission import submitter
from policies.intake import ISSUER, classify, is_raw, sign, verify_intake
from policies.signature import BadKey, SigningKey, new_key, parse_public_keys, parse_signing_key, public_keys
from records.connection import connection_string
from records.queue import DRIVE, enqueue
from refunds.canonical import canonical
from refunds.ids import CaseId, TenantId
from refunds.ticket import Ticket

NOW = datetime.fromisoformat("2026-06-01T12:00:00+00:00")
KEY = new_key("intake")
KEYS = public_keys([KEY.public()])


def a_ticket(**fields: Any) -> Ticket:
    return Ticket.read(
        {
            "ticket_id": f"t-{uuid4().hex[:8]}",
            "tenant": "demo",
            "customer_id": "C100",
            "order_id": "D300",
            "question": CRACKED,
            "intent": "refund_request",
            "bundle_version": "intake_bundle_v2",
            "route": "guarded_agent",
        }
        | fields
    )


def claims_of(ticket: Ticket, key: SigningKey, **claims: object) -> Ticket:
    """A ticket with claims of one's own, signed by the intake's key."""
    issued = int(NOW.timestamp())
    whole = {
        "iss": ISSUER,
        "jti": str(uuid4()),
        "iat": issued,
        "exp": issued + 600,
        "kid": key.kid,
        "body_sha256": ticket.body_sha256(),
    } | claims
    return ticket.model_copy(update={"intake": key.sign(canonical(whole))})


def test_what_was_signed_is_verified() -> None:
    assert verify_intake(sign(a_ticket(), KEY, NOW), KEYS, NOW).verdict == "verified"


@pytest.mark.parametrize(
    ("claims", "verdict"),
    [
        ({}, "verified"),
        ({"iss": "somebody"}, "unsigned_intake"),
        ({"kid": "other"}, "unsigned_intake"),
        ({"jti": ""}, "unsigned_intake"),
        ({"jti": 7}, "unsigned_intake"),
        ({"exp": "never"}, "unsigned_intake"),
        ({"exp": True}, "unsigned_intake"),
        ({"body_sha256": "0" * 64}, "unsigned_intake"),
        ({"exp": int(NOW.timestamp())}, "expired_intake"),
        ({"iat": int(NOW.timestamp()) + 61}, "expired_intake"),
        ({"exp": int(NOW.timestamp()) + 100_000}, "expired_intake"),
    ],
)
def test_every_claim_of_the_intake_is_checked(claims: dict[str, object], verdict: str) -> None:
    assert verify_intake(claims_of(a_ticket(), KEY, **claims), KEYS, NOW).verdict == verdict


@pytest.mark.parametrize(
    "field", ["question", "order_id", "customer_id", "route", "bundle_version", "intent", "ticket_id"]
)
def test_a_change_of_any_field_after_the_signature_is_seen(field: str) -> None:
    signed = sign(a_ticket(), KEY, NOW)
    other = {"route": "human_review_now", "intent": "other"}.get(field, "changed")
    assert verify_intake(signed.model_copy(update={field: other}), KEYS, NOW).verdict == "unsigned_intake"


@given(st.text(max_size=300))
def test_any_text_is_a_signature_or_none(text: str) -> None:
    assert KEYS.read(text) is None


def test_a_key_speaks_for_its_own_tenants_only() -> None:
    keys = public_keys([KEY.public() | {"tenants": ["rival"]}])
    assert verify_intake(sign(a_ticket(), KEY, NOW), keys, NOW).verdict == "wrong_tenant"


def test_another_key_under_the_same_name_is_nobodys() -> None:
    assert verify_intake(sign(a_ticket(), another_key(KEY.kid), NOW), KEYS, NOW).verdict == "unsigned_intake"


@pytest.mark.parametrize(
    ("text", "route"),
    [
        (CRACKED, "guarded_agent"),
        ("My lawyer will hear of this.", "human_review_now"),
        ("The charger caught FIRE and burned my hand", "human_review_now"),
    ],
)
def test_a_raw_ticket_is_routed_by_what_a_person_must_see(text: str, route: str) -> None:
    raw = a_ticket(question=text, bundle_version=None, route=None, intent=None)
    assert is_raw(raw)
    classified = classify(raw, "intake_bundle_v2").ticket
    assert (classified.route, classified.bundle_version) == (route, "intake_bundle_v2")


async def submitted(stage: Stage, ticket: Ticket, intake: Intake | None = None) -> tuple[str, str]:
    person = await stage.person("demo-helpdesk")
    case = await (intake or stage.house.intake).submit(ticket, person)
    state = await stage.run(case)
    return str(state["status"]), str(state["reason"])


async def books_now(stage: Stage) -> datetime:
    now: datetime = (await stage.sql("select books.clock() as now"))[0]["now"]
    return now


async def test_an_old_signature_is_expired(stage: Stage) -> None:
    key = home_private_key(stage.house.home, "intake")
    ticket = sign(a_ticket(), key, await books_now(stage) - timedelta(minutes=16))
    assert await submitted(stage, ticket) == ("bypassed", "expired_intake")


async def test_a_signature_that_admitted_another_ticket_is_replayed(stage: Stage) -> None:
    key = home_private_key(stage.house.home, "intake")
    now = int((await books_now(stage)).timestamp())
    same: dict[str, object] = {"jti": str(uuid4()), "iat": now, "exp": now + 600}
    assert (await submitted(stage, claims_of(a_ticket(), key, **same)))[0] == "needs_human"
    assert await submitted(stage, claims_of(a_ticket(), key, **same)) == ("bypassed", "replayed_intake")


async def brought_to_the_graph(stage: Stage, ticket: Ticket) -> tuple[str, str]:
    """A ticket that comes with the first run of a thread, as a client of the server brings it."""
    config: Any = {"configurable": {"thread_id": str(uuid4())}}
    state = await stage.house.driver.graph.ainvoke({"ticket": ticket.to_json()}, config, durability="exit")
    return str(state["status"]), str(state["reason"])


async def test_a_thread_of_the_server_tells_a_replay_from_a_key_of_another_tenant(stage: Stage) -> None:
    key = home_private_key(stage.house.home, "intake")
    now = int((await books_now(stage)).timestamp())
    same: dict[str, object] = {"jti": str(uuid4()), "iat": now, "exp": now + 600}
    assert (await brought_to_the_graph(stage, claims_of(a_ticket(), key, **same)))[0] == "needs_human"
    replay = claims_of(a_ticket(), key, **same)
    assert await brought_to_the_graph(stage, replay) == ("bypassed", "replayed_intake")
    late = claims_of(a_ticket(), key, **{**same, "iat": now - 1_000, "exp": now - 400})
    assert await brought_to_the_graph(stage, late) == ("bypassed", "expired_intake")


@pytest.mark.parametrize("user", [None, "ann", {}, {"identity": ""}, {"identity": 7}])
def test_who_brought_a_ticket_is_whom_the_server_authenticated_or_the_graph(user: Any) -> None:
    assert submitter({"configurable": {"langgraph_auth_user": user}}) == "graph"
    assert submitter({"configurable": {"langgraph_auth_user": {"identity": "ann"}}}) == "ann"


async def test_a_key_of_another_tenant_admits_nothing(stage: Stage) -> None:
    key = home_private_key(stage.house.home, "intake")
    keys = public_keys([key.public() | {"tenants": ["rival"]}])
    intake = replace(stage.house.intake, keys=keys)
    ticket = sign(a_ticket(), key, await books_now(stage))
    assert await submitted(stage, ticket, intake) == ("bypassed", "wrong_tenant")


async def test_what_was_turned_away_is_in_the_queue_and_orders_nothing(stage: Stage) -> None:
    assert await submitted(stage, a_ticket()) == ("bypassed", "unsigned_intake")
    await stage.finish()
    rows = await stage.sql("select ended from books.case_state")
    assert rows == [{"ended": False}]
    assert await stage.count("proposals") == 0


async def test_the_job_is_enqueued_with_the_case_or_not_at_all(stage: Stage) -> None:
    case = await stage.submit()
    jobs = await stage.sql("select task_name, lock, queueing_lock, args from jobs.procrastinate_jobs")
    assert jobs == [
        {
            "task_name": DRIVE,
            "lock": f"case:{case.case_id}",
            "queueing_lock": None,
            "args": {"tenant": "demo", "case_id": str(case.case_id)},
        }
    ]

    class Undone(Exception):
        pass

    with pytest.raises(Undone):
        async with stage.house.desk_books.transaction(TenantId("demo")) as tx:
            await enqueue(tx, TenantId("demo"), CaseId(uuid4()))
            raise Undone
    assert len(await stage.sql("select 1 as n from jobs.procrastinate_jobs")) == 1


async def test_a_worker_in_the_graphs_role_takes_the_job_and_drives_the_case(stage: Stage) -> None:
    case = await stage.submit()
    url = stage.house.home.role_url("graph", stage.url)
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=connection_string(url)))

    @app.task(name=DRIVE, queue="graph")
    async def drive(tenant: str, case_id: str) -> None:
        await stage.house.driver.drive(TenantId(tenant), CaseId(UUID(case_id)))

    async with app.open_async():
        await app.run_worker_async(
            queues=["graph"], wait=False, install_signal_handlers=False, listen_notify=False
        )
    assert (await stage.house.state(case))["status"] == "needs_human"
    jobs = await stage.sql("select status::text from jobs.procrastinate_jobs")
    assert jobs == [{"status": "succeeded"}]


NO_KEYS = [
    "",
    "{",
    "null",
    "[]",
    "{}",
    "1",
    '"keys"',
    '{"keys": 1}',
    '{"keys": [1]}',
    '{"keys": [null]}',
    '{"keys": [{}]}',
]


@pytest.mark.parametrize("text", NO_KEYS)
def test_a_file_that_holds_no_key_is_named_whatever_it_holds(text: str) -> None:
    for read in (parse_public_keys, parse_signing_key):
        with pytest.raises(BadKey, match=r"^keys/intake\.json: "):
            read(text, "keys/intake.json")
