"""The database's own settings: none of them changes how the house reads a value, and who turns its walls off is told."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from desk_kit import DeskStage
from stage import Cluster, open_stage, prepare_template

from records.connection import MANNERS, connection_string
from runtime.home import Home, make_database, with_database
from runtime.startup import CannotWork, check_books

pytestmark = pytest.mark.fresh_database

HOSTILE = {
    "client_encoding": "LATIN1",
    "datestyle": "SQL, DMY",
    "intervalstyle": "postgres_verbose",
    "timezone": "Asia/Kathmandu",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "lc_monetary": "C.UTF-8",
    "lc_numeric": "C.UTF-8",
    "lc_time": "C.UTF-8",
    "standard_conforming_strings": "off",
    "backslash_quote": "off",
    "transform_null_equals": "on",
    "default_text_search_config": "pg_catalog.simple",
    "gin_fuzzy_search_limit": "1",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "synchronous_commit": "off",
    "row_security": "off",
    "role": "books_owner",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "idle_session_timeout": "1ms",
    "statement_timeout": "1ms",
    "search_path": "pg_catalog",
}


def set_on(cluster: Cluster, url: str, settings: dict[str, str]) -> None:
    name = url.rsplit("/", 1)[1]
    with psycopg.connect(cluster.admin, autocommit=True) as admin:
        for setting, value in settings.items():
            listed = setting in {"search_path", "datestyle"}
            said = value if listed else f"'{value}'"
            admin.execute(f"alter database {name} set {setting} to {said}")


def test_every_manner_of_the_house_is_set_hostile_below() -> None:
    """Broken? A setting was added to one of the two lists."""
    ours = {name.lower() for name in MANNERS} | {"search_path", "statement_timeout"}
    assert ours == set(HOSTILE)


async def test_what_a_client_says_at_connect_counts_before_the_database(cluster: Cluster, url: str) -> None:
    with psycopg.connect(connection_string(url)) as connection:
        plain: dict[str, str] = dict(connection.execute("select name, setting from pg_settings").fetchall())
    set_on(cluster, url, HOSTILE)
    with psycopg.connect(connection_string(url)) as connection:
        there: dict[str, str] = dict(connection.execute("select name, setting from pg_settings").fetchall())
        role = connection.execute("select current_user, session_user").fetchone()
    assert {name: there[name] for name in plain if there[name] != plain[name]} == {}
    assert role == ("postgres", "postgres")


@pytest.mark.parametrize("setting", [*sorted(HOSTILE), "all of them"])
async def test_a_refund_is_paid_whatever_the_database_is_set_to(
    cluster: Cluster, url: str, tmp_path: Path, setting: str
) -> None:
    set_on(cluster, url, HOSTILE if setting == "all of them" else {setting: HOSTILE[setting]})
    async with open_stage(cluster.home, url, tmp_path) as stage:
        case = await stage.ordered()
        stage.house.provider.misbehave("drop_before")
        await stage.finish()
        await stage.move_clock(minutes=1)
        await stage.finish()
        assert (await stage.house.state(case))["status"] == "refunded"
        assert stage.refunds() == 1


def test_the_books_are_brought_up_on_a_database_with_manners_of_its_own(
    cluster: Cluster, tmp_path: Path
) -> None:
    url = with_database(cluster.admin, f"m_{tmp_path.name[-8:].strip('_').lower()}")
    make_database(url)
    try:
        set_on(cluster, url, HOSTILE)
        shutil.copytree(cluster.home.folder / "keys", tmp_path / "keys")
        shutil.copy(cluster.home.folder / "roles.json", tmp_path / "roles.json")
        asyncio.run(prepare_template(Home(tmp_path), url))
        asyncio.run(check_books(url, test_database_allowed=True))
    finally:
        cluster.drop(url)


async def test_a_house_does_not_work_on_a_database_without_its_triggers(cluster: Cluster, url: str) -> None:
    """Only a superuser can say so, and only they can take it back: the processes say it and stop."""
    set_on(cluster, url, {"session_replication_role": "replica"})
    with pytest.raises(CannotWork, match="without its triggers"):
        await check_books(url, test_database_allowed=True)


async def test_an_order_of_money_that_cannot_be_brought_forward_is_named_by_readyz(desk: DeskStage) -> None:
    stage = desk.stage
    case = await stage.ordered()
    executor = replace(stage.house.executor, processor=Raises(stage.house.provider))
    for passes in range(1, 5):
        ready = (await desk.ask("GET", "/readyz", who=None)).json()["parts"]["disbursements"]
        assert (ready == "ok") == (passes <= 3), ready
        await executor.settle_all()
    answer = await desk.ask("GET", "/readyz", who=None)
    assert answer.status_code == 503
    said = answer.json()["parts"]["disbursements"]
    assert case.ticket_id in said and "4 passes" in said and "the answer cannot be read" in said
    healthy = replace(executor, processor=stage.house.provider)
    await healthy.settle_all()
    assert (await desk.ask("GET", "/readyz", who=None)).json()["parts"]["disbursements"] == "ok"


class Raises:
    """A provider whose answers cannot be read."""

    def __init__(self, provider: Any) -> None:
        self.provider = provider

    async def refund(self, request: Any) -> Any:
        return await self.provider.refund(request)

    async def refunds_of(self, *asked: Any) -> Any:
        del asked
        raise ValueError("the answer cannot be read")
