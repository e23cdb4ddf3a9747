"""The laws about the laws: none waits for luck, and what each run is told is what the Makefile says."""

import ast
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from kept import KEPT
from stage import Cluster, open_stage

TESTS = Path(__file__).parents[1]
SUBJECT = "# the time is the subject"
LOOKING_AGAIN = (ast.While, ast.For, ast.AsyncFor)


def idle_sleeps(text: str) -> Iterator[int]:
    """The lines that sleep for a fixed time, outside a loop that looks again and without saying why."""
    lines = text.splitlines()

    def walk(node: ast.AST, looks_again: bool) -> Iterator[int]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            looks_again = False
        looks_again = looks_again or isinstance(node, LOOKING_AGAIN)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("sleep"):
            [told] = node.args
            fixed = isinstance(told, ast.Constant) and told.value != 0
            if fixed and not looks_again and SUBJECT not in lines[node.lineno - 1]:
                yield node.lineno
        for child in ast.iter_child_nodes(node):
            yield from walk(child, looks_again)

    yield from walk(ast.parse(text), False)


@pytest.mark.parametrize("file", sorted(TESTS.rglob("*.py")), ids=lambda file: str(file.relative_to(TESTS)))
def test_no_law_sleeps_for_a_fixed_time_unless_the_time_is_its_subject(file: Path) -> None:
    """Broken? Look for what you wait for (`until`), or say on the line why the time is the subject."""
    assert list(idle_sleeps(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("time.sleep(2)", [1]),
        ("await_ = asyncio.sleep(0)", []),
        ("while not there():\n    time.sleep(0.05)", []),
        ("while True:\n    def later():\n        time.sleep(1)", [3]),
        ("time.sleep(2)  # the time is the subject: a key that ages", []),
        ("time.sleep(pause)", []),
    ],
)
def test_the_law_above_sees_a_sleep(text: str, found: list[int]) -> None:
    assert list(idle_sleeps(text)) == found


def contents(url: str) -> dict[str, str]:
    """What every table and every counter of a database holds, but for the shelf of what is put back."""
    relations = (
        "select c.relkind::text, c.oid::regclass::text from pg_class c join pg_namespace s on s.oid = c.relnamespace"
        " where s.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'kept') and c.relkind in ('r', 'S')"
    )
    text = {
        "r": "select coalesce(md5(string_agg(t::text, ' ' order by t::text)), '') from {} t",
        "S": "select concat(last_value, is_called) from {}",
    }
    with psycopg.connect(url) as connection:
        found = connection.execute(relations).fetchall()
        return {
            name: str(connection.execute(text[kind].format(name).encode()).fetchone()) for kind, name in found
        }


async def test_what_a_test_wrote_is_put_back_to_the_letter(
    cluster: Cluster, url: str, tmp_path: Path
) -> None:
    """Broken? A test would find what another one left: look at what `kept.put_back()` does not see."""
    fresh = cluster.clone()
    try:
        async with open_stage(cluster.home, url, tmp_path) as stage:
            await stage.many_orders(3)
            await stage.ordered(order_id="X1")
            await stage.finish()
            await stage.paused(order_id="X2")
            await stage.sql("update books.people set name = 'another' where person = 'demo-reviewer'")
            await stage.sql("delete from books.tokens where person = 'demo-auditor'")
            await stage.move_clock(hours=1)
        assert contents(url) != contents(fresh)
        [kept] = KEPT
        assert await kept.put_back()
        assert contents(url) == contents(fresh)
        async with open_stage(cluster.home, url, tmp_path) as stage:
            await stage.sql("create table books.another (n int)")
        assert not await kept.put_back()
    finally:
        cluster.drop(fresh)
