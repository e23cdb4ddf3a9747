"""The graph as it is drawn, stored and started."""

import base64
import contextlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Command
from ormsgpack import MsgpackDecodeError
from stage import Stage

from desk.decisions import DecisionRequest
from graph.reviewer import RESPONSE_SCHEMA
from policies.transitions import AGENT_EDGES, HOUSE_EDGES

ROOT = Path(__file__).parents[2]
PAUSED = Path(__file__).parent / "paused_thread.json"


async def test_every_edge_has_a_validator_and_every_validator_an_edge(stage: Stage) -> None:
    drawn = stage.house.driver.graph.get_graph(xray=True)
    house, agent = set(), set()
    for edge in drawn.edges:
        source, target = edge.source, edge.target
        if source.startswith("case_agent:plan"):
            agent.add(("plan", target.split(":")[-1]))
        elif source.startswith("case_agent:") and not source.endswith("__end__"):
            continue
        else:
            house.add((source.split(":")[0], target.split(":")[0]))
    ends = {"__start__", "__end__"}
    assert {edge for edge in house if not ends & set(edge)} == set(HOUSE_EDGES)
    # A block is the refusal of every edge, and the end of the part is what its parent's edges check.
    assert agent - {("plan", "block"), ("plan", "__end__")} == set(AGENT_EDGES)


async def test_the_autonomous_part_is_a_box_with_the_refund_outside(stage: Stage) -> None:
    names = set(stage.house.driver.graph.get_graph(xray=True).nodes)
    boxed = {name.split(":")[1] for name in names if name.startswith("case_agent:")}
    assert boxed == {"__start__", "plan", "evidence", "order", "draft", "propose", "block", "__end__"}
    assert {"admission", "approval", "refund", "settlement", "close"} <= names


async def test_the_pause_speaks_every_dialect(stage: Stage) -> None:
    case, state = await stage.paused()
    config: Any = {"configurable": {"thread_id": str(case.thread_id)}}
    snapshot = await stage.house.driver.graph.aget_state(config)
    value = snapshot.interrupts[0].value
    request = value["action_requests"][0]
    assert request["args"] == request["arguments"]
    assert value["review_configs"] == [
        {"action_name": request["name"], "allowed_decisions": ["approve", "reject"]}
    ]
    assert value["action_request"]["args"] == request["args"]
    assert value["config"]["allow_edit"] is False
    assert value["description"].startswith("79.00 USD to customer C100: card …4242 (pay_D300), for Tablet.")
    proposal: Any = state["proposal"]
    assert value["proposal"]["digest"] == proposal["digest"]
    assert value["proposal"]["citations"][0]["quote"]
    assert snapshot.interrupts[0].response_schema == RESPONSE_SCHEMA


async def test_the_state_and_the_books_say_the_same(stage: Stage) -> None:
    case, _ = await stage.paused()
    await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    config: Any = {"configurable": {"thread_id": str(case.thread_id)}}
    values = (await stage.house.driver.graph.aget_state(config)).values
    books = await stage.house.state(case)
    assert {name: values[name] for name in books} == books
    assert books["status"] == "refunded"


TRAP = Path(tempfile.gettempdir()) / f"countersign-trap-{os.getpid()}"
"""What a loose loader would make; its own of each process of the tests."""


class Trap:
    """Pickles to a call."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {TRAP}",)


def crafted() -> list[tuple[str, bytes]]:
    """Blobs that a loose loader would turn into a call of os.system."""
    call = ormsgpack.packb(("os", "system", (f"touch {TRAP}",)))
    blobs = [("msgpack", ormsgpack.packb(ormsgpack.Ext(code, call))) for code in range(8)]
    constructor = {
        "lc": 2,
        "type": "constructor",
        "id": ["os", "system"],
        "args": [f"touch {TRAP}"],
        "kwargs": {},
    }
    blobs.append(("json", json.dumps(constructor).encode()))
    blobs.append(("pickle", pickle.dumps(Trap())))
    return blobs


@pytest.mark.parametrize(
    "blob", crafted(), ids=lambda blob: blob[0] if isinstance(blob, tuple) else str(blob)
)
async def test_a_crafted_checkpoint_runs_no_code(stage: Stage, blob: tuple[str, bytes]) -> None:
    TRAP.unlink(missing_ok=True)
    case, _ = await stage.paused()
    await stage.sql("update checkpoints.checkpoint_blobs set type = %s, blob = %s", *blob)
    await stage.sql("update checkpoints.checkpoint_writes set type = %s, blob = %s", *blob)
    config: Any = {"configurable": {"thread_id": str(case.thread_id)}}
    # A row that cannot be read is an error; what matters is that it is not run.
    with contextlib.suppress(
        NotImplementedError, ValueError, TypeError, KeyError, AttributeError, MsgpackDecodeError
    ):
        await stage.house.driver.graph.ainvoke(Command(resume="wake-up"), config, durability="sync")
    assert not TRAP.exists()
    assert await stage.count("disbursements") == 0


@pytest.mark.filterwarnings("ignore")
def test_the_crafted_checkpoints_are_dangerous_to_a_loose_loader() -> None:
    """The control of the law above: without strictness at least one of these blobs does run."""
    TRAP.unlink(missing_ok=True)
    loose = JsonPlusSerializer(pickle_fallback=True, allowed_msgpack_modules=True)
    for blob in crafted():
        with contextlib.suppress(Exception):
            loose.loads_typed(blob)
    assert TRAP.exists()
    TRAP.unlink()


@pytest.mark.parametrize("value", ["false", "", None])
def test_a_start_without_strict_msgpack_is_refused(value: str | None) -> None:
    environment = {name: held for name, held in os.environ.items() if name != "LANGGRAPH_STRICT_MSGPACK"}
    if value is not None:
        environment["LANGGRAPH_STRICT_MSGPACK"] = value
    done = subprocess.run(
        [sys.executable, "-c", "from graph.checkpointer import require_strict_msgpack as r; r()"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 1
    assert "set LANGGRAPH_STRICT_MSGPACK=true" in done.stderr


async def test_a_thread_that_an_earlier_release_paused_resumes(stage: Stage) -> None:
    """The stored bytes of a paused thread, under today's code; today's books hold its case."""
    stored = json.loads(PAUSED.read_text())
    case, _ = await stage.paused(ticket_id="stored")
    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
        await stage.sql(f"delete from checkpoints.{table}")
        for row in stored[table]:
            values = {name: _decoded(value) for name, value in row.items()} | {
                "thread_id": str(case.thread_id)
            }
            names = ", ".join(values)
            marks = ", ".join(["%s"] * len(values))
            await stage.sql(f"insert into checkpoints.{table} ({names}) values ({marks})", *values.values())
    await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"
    assert stage.refunds() == 1
    config: Any = {"configurable": {"thread_id": str(case.thread_id)}}
    assert (await stage.house.driver.graph.aget_state(config)).values["status"] == "refunded"


def _decoded(value: object) -> object:
    if isinstance(value, dict) and set(value) == {"base64"}:
        return base64.b64decode(value["base64"])
    return json.dumps(value) if isinstance(value, dict) else value


async def stored_thread(stage: Stage) -> dict[str, list[dict[str, object]]]:
    """The checkpoint rows of a freshly paused thread, as the fixture keeps them."""
    case, _ = await stage.paused(ticket_id="stored")
    kept: dict[str, list[dict[str, object]]] = {}
    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
        rows = await stage.sql(f"select * from checkpoints.{table} where thread_id = %s", str(case.thread_id))
        kept[table] = [
            {
                name: {"base64": base64.b64encode(bytes(value)).decode()}
                if isinstance(value, bytes | memoryview)
                else value
                for name, value in row.items()
                if name != "thread_id"
            }
            for row in rows
        ]
    return kept


@pytest.mark.skipif(
    not os.environ.get("COUNTERSIGN_STORE_THREAD"), reason="writes the fixture of the law above"
)
async def test_store_a_paused_thread(stage: Stage) -> None:
    PAUSED.write_text(json.dumps(await stored_thread(stage), indent=1, default=str) + "\n")


async def test_a_copied_thread_id_is_nobodys(stage: Stage) -> None:
    config: Any = {"configurable": {"thread_id": str(uuid.uuid4())}}
    result = await stage.house.driver.graph.ainvoke({"ticket": {"nonsense": 1}}, config)
    assert (result["status"], result["case_id"]) == ("bypassed", None)
