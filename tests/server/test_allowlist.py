"""The allowlist: every route has a verdict, and every refusal of the contract is one over real HTTP."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from running import INBOX, RunningHouse

from graph.server.allowlist import VERDICTS, verdict_of

ROOT = Path(__file__).parents[2]

LIST_ROUTES = """
import json, os, sys
config = json.loads(open(sys.argv[1]).read())
os.environ |= {
    "MIGRATIONS_PATH": "__inmem", "DATABASE_URI": ":memory:", "REDIS_URI": "fake", "LANGGRAPH_RUNTIME_EDITION": "inmem",
    "LANGSMITH_LANGGRAPH_API_VARIANT": "local_dev", "LANGGRAPH_AUTH": json.dumps(config["auth"]),
    "LANGGRAPH_HTTP": json.dumps(config["http"]), "LANGSERVE_GRAPHS": json.dumps(config["graphs"]),
    "LANGGRAPH_DISABLE_FILE_PERSISTENCE": "true", **config["env"],
}
from langgraph_api.server import app
found = []
def walk(routes, prefix=""):
    for route in routes:
        path = prefix + getattr(route, "path", "")
        if getattr(route, "routes", None) is not None:
            walk(route.routes, path)
        else:
            found.extend((method, path) for method in sorted(getattr(route, "methods", None) or {"WEBSOCKET"}) if method != "HEAD")
walk(app.routes)
print(json.dumps(found))
"""


NOWHERE = {"GRAPH_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "GRAPH_INTAKE_KEYS": "none.json"}
"""Settings of a server that is loaded and never started."""


def routes(config: dict[str, Any], folder: Path) -> set[tuple[str, str]]:
    """The server's own route table under a configuration."""
    file = folder / "langgraph.json"
    file.write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-c", LIST_ROUTES, str(file)], cwd=folder, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | NOWHERE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3_000:]
    return {(method, path) for method, path in json.loads(done.stdout.splitlines()[-1])}


def config() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "langgraph.json").read_text())
    return loaded


def test_every_route_of_the_server_has_a_verdict(tmp_path: Path) -> None:
    """Broken? The server has a route that nobody has judged: give it a verdict in graph/server/allowlist.py."""
    assert routes(config(), tmp_path) - set(VERDICTS) == set()


def test_what_is_switched_off_is_refused_also_when_it_is_switched_on(tmp_path: Path) -> None:
    """Store, MCP, A2A, UI and crons, whatever a configuration says of them."""
    open_config = config()
    open_config["http"] = {"app": open_config["http"]["app"], "enable_custom_route_auth": True}
    for method, path in routes(open_config, tmp_path):
        if (method, path) not in VERDICTS:
            concrete = path.replace("{path:path}", "x").replace("{", "").replace("}", "")
            assert verdict_of(method, concrete) == "refused", (method, path)


def test_a_path_that_nobody_listed_is_refused() -> None:
    for method, path in [
        ("GET", "/ui/secret"), ("GET", "/ui"), ("POST", "/mcp"), ("PUT", "/store/items"), ("HEAD", "/threads/x"),
        ("GET", "/threads/x/../../internal/truncate"), ("POST", "/threads/search/"), ("DELETE", "/threads"),
        ("GET", "//ok"), ("POST", "/internal/truncate"), ("TRACE", "/ok"),
    ]:  # fmt: skip
        assert verdict_of(method, path) == "refused", (method, path)


@pytest.fixture(name="thread", scope="module")
def _thread(running: RunningHouse) -> str:
    """A case at its pause, with its thread."""
    return str(running.paused(order_id="X300")["case_id"])


CLOSED: list[tuple[str, str, Any]] = [
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "input": {"ticket": {}}}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "input": None}),
    ("POST", "/threads/{t}/runs/wait", {"assistant_id": "refund_agent", "command": {"goto": "refund"}}),
    ("POST", "/threads/{t}/runs/wait", {"assistant_id": "refund_agent", "command": {"update": {"amount": 1}, "resume": 1}}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "input": {"ticket": {}}}),
    ("POST", "/threads/{t}/state", {"values": {"status": "refunded"}, "as_node": "approval"}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "checkpoint_id": str(uuid.uuid4())}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "checkpoint": {"checkpoint_id": str(uuid.uuid4())}}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "config": {"configurable": {"checkpoint_id": str(uuid.uuid4())}}}),
    ("POST", "/runs", {"assistant_id": "refund_agent", "input": {"ticket": {}}}),
    ("POST", "/runs/wait", {"assistant_id": "refund_agent", "input": {"ticket": {}}}),
    ("POST", "/runs/stream", {"assistant_id": "refund_agent", "input": {"ticket": {}}}),
    ("POST", "/runs/batch", [{"assistant_id": "refund_agent", "input": {"ticket": {}}}]),
    ("POST", "/runs/cancel", {"status": "all"}),
    ("POST", "/threads/{t}/copy", None),
    ("DELETE", "/threads/{t}", None),
    ("POST", "/threads/prune", {"thread_ids": ["{t}"]}),
    ("PATCH", "/threads/{t}", {"metadata": {"tenant": "other"}}),
    ("POST", "/runs/crons", {"assistant_id": "refund_agent", "schedule": "* * * * *"}),
    ("POST", "/threads/{t}/runs/crons", {"assistant_id": "refund_agent", "schedule": "* * * * *"}),
    ("POST", "/runs/crons/search", {}),
    ("POST", "/assistants", {"graph_id": "refund_agent"}),
    ("PATCH", "/assistants/refund_agent", {"config": {}}),
    ("DELETE", "/assistants/refund_agent", None),
    ("POST", "/assistants/refund_agent/latest", {"version": 1}),
    ("PUT", "/store/items", {"namespace": ["a"], "key": "b", "value": {}}),
    ("GET", "/store/items?key=b", None),
    ("POST", "/store/items/search", {"namespace_prefix": []}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "webhook": "http://127.0.0.1:1/"}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "interrupt_before": ["refund"]}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "interrupt_after": "*"}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "after_seconds": 5}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "multitask_strategy": "rollback"}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "multitask_strategy": "interrupt"}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "on_completion": "delete"}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "another", "command": {"resume": 1}}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "config": {"configurable": {"langgraph_auth_user": {"identity": "demo-reviewer"}}}}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "config": {"configurable": {"langgraph_auth_user_id": "demo-reviewer"}}}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "context": {"langgraph_auth_user": "demo-reviewer"}}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "something_new": True}),
    ("POST", "/threads", {"supersteps": [{"updates": []}]}),
    ("POST", "/threads", {"ttl": {"ttl": 1}}),
    ("POST", "/threads/search", {"metadata": {"__pregel_checkpointer": 1}}),
    ("GET", "/threads/x%0aFAKE-LOG-LINE", None),
    ("GET", "/threads/not-a-uuid/state", None),
    ("POST", "/threads/%00/runs", {"assistant_id": "refund_agent", "command": {"resume": 1}, "checkpoint_id": "x"}),
    ("GET", "/threads/{t}/runs/{t}/join?cancel_on_disconnect=true", None),
    ("POST", "/threads/{t}/runs/{t}/cancel", None),
    ("DELETE", "/threads/{t}/runs/{t}", None),
    ("POST", "/threads/{t}/commands", {"id": 1, "method": "run.start", "params": {"assistant_id": "refund_agent", "command": {"resume": 1}}}),
    ("POST", "/threads/{t}/commands", {"id": 1, "method": "run.start", "params": {"assistant_id": "another", "input": {"ticket": {}}}}),
    ("POST", "/threads/{t}/commands", {"id": 1, "method": "run.start", "params": {"assistant_id": "refund_agent", "input": {"ticket": {}}, "config": {"configurable": {"checkpoint_id": str(uuid.uuid4())}}}}),
    ("POST", "/threads/{t}/commands", {"id": 1, "method": "run.start", "params": {"assistant_id": "refund_agent", "input": {"ticket": {}}, "multitask_strategy": "rollback"}}),
    ("POST", "/threads/{t}/commands", {"id": 1, "method": "input.respond", "params": {"interrupt_id": "x", "response": {}, "goto": "refund"}}),
    ("POST", "/threads/{t}/commands", {"id": 1, "method": "input.respond", "params": {"interrupt_id": "x", "response": {}, "update": {"status": "refunded"}}}),
    ("POST", "/threads/{t}/commands", {"id": 1, "method": "input.respond", "params": {"interrupt_id": "x", "response": {}, "config": {"configurable": {"langgraph_auth_user": "demo-reviewer"}}}}),
    ("POST", "/threads/{t}/commands", {"id": 1, "method": "input.inject", "params": {"message": "x"}}),
    ("POST", "/threads/{t}/commands", {"id": 1, "method": "state.update", "params": {}}),
    ("GET", "/ui/secret", None),
    ("POST", "/ui/refund_agent", {}),
    ("POST", "/mcp/", {}),
    ("POST", "/a2a/refund_agent", {}),
    ("GET", "/.well-known/agent-card.json", None),
    ("GET", "/internal/debug/thread/{t}", None),
    ("POST", "/internal/truncate", {"threads": True}),
    ("GET", "/metrics", None),
    ("GET", "/docs", None),
    ("GET", "/openapi.json", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body"), CLOSED, ids=[f"{n}-{row[0]}-{row[1]}" for n, row in enumerate(CLOSED)]
)
def test_it_is_refused_and_the_case_is_untouched(
    running: RunningHouse, thread: str, method: str, path: str, body: Any
) -> None:
    """To a program, to a page of an origin that is let in, which can read why, and to one of another origin."""
    before = running.case(thread)
    with running.graph("demo-specialist") as client:
        for origin in (None, INBOX, "https://evil.example"):
            headers = {"origin": origin} if origin else {}
            answer = client.request(method, path.replace("{t}", thread), json=body, headers=headers)
            assert answer.status_code == 403, answer.text
            assert answer.headers.get("access-control-allow-origin") == (INBOX if origin == INBOX else None)
            assert "not allowed" in answer.text
    assert running.case(thread) == before


ODD: list[tuple[str, str, Any]] = [
    ("POST", "/threads/{t}/runs", {"assistant_id": [], "command": {"resume": 1}}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "if_not_exists": []}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "multitask_strategy": [], "command": {"resume": 1}}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "stream_mode": [[]], "command": {"resume": 1}}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "on_completion": {"a": 1}, "command": {"resume": 1}}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "checkpoint_id": {"a": 1}, "command": {"resume": 1}}),
    ("POST", "/threads/{t}/runs", {"assistant_id": "refund_agent", "command": {"resume": "a\x00"}}),
    ("POST", "/threads", {"if_exists": ["x"]}),
    ("POST", "/threads", {"thread_id": "not-a-uuid"}),
    ("GET", "/threads/{t}/state/%00", None),
    ("GET", "/threads/{t}/history?before=%00", None),
    ("GET", "/threads/{t}/history?limit=-1", None),
    ("GET", "/threads/{t}/history?limit=99999999999999999999999", None),
    ("POST", "/threads/{t}/history", {"metadata": {"a": "\x00"}}),
    ("POST", "/threads/{t}/history", {"limit": -5}),
    ("POST", "/threads/search", {"limit": 10**30}),
    ("POST", "/threads/search", {"metadata": "x"}),
    ("POST", "/threads/{t}/state/checkpoint", {"checkpoint": {"checkpoint_id": "a\x00"}}),
    ("POST", "/threads/{t}/commands", {"method": "run.start"}),
    ("POST", "/threads/{t}/commands", {"id": 1, "method": "input.respond", "params": {"responses": [{}, {}]}}),
    ("POST", "/threads/{t}/commands", {"id": 1, "method": "input.respond", "params": []}),
    ("POST", "/threads/{t}/stream/events", {}),
    ("POST", "/threads/{t}/stream/events", {"channels": ["everything"]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body"), ODD, ids=[f"{n}-{row[0]}-{row[1]}" for n, row in enumerate(ODD)]
)
def test_nothing_odd_is_an_error_of_ours(
    running: RunningHouse, thread: str, method: str, path: str, body: Any
) -> None:
    with running.graph("demo-specialist") as client:
        answer = client.request(method, path.replace("{t}", thread), json=body)
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text)
    assert running.status(thread) == "needs_human"


def test_before_anybody_signed_in_nothing_is_looked_up(running: RunningHouse, thread: str) -> None:
    """A checkpoint that is there and one that is not are answered alike."""
    head = running.sdk().threads.get_state(thread)["checkpoint"]["checkpoint_id"]
    for checkpoint in (head, str(uuid.uuid4())):
        body = {"assistant_id": "refund_agent", "command": {"resume": 1}, "checkpoint_id": checkpoint}
        with running.graph(None) as client:
            assert client.post(f"/threads/{thread}/runs", json=body).status_code == 401


def test_a_body_above_the_limit_or_not_json_says_so(running: RunningHouse, thread: str) -> None:
    with running.graph() as client:
        assert client.post(f"/threads/{thread}/runs", content=b"x" * 300_000).status_code == 413
        assert client.post(f"/threads/{thread}/runs", content=b"{").status_code == 422
        twice = client.post(f"/threads/{thread}/runs", content=b'{"input": 1, "input": 2}')
        assert (twice.status_code, "given twice" in twice.text) == (422, True)


def test_no_credential_is_no_person(running: RunningHouse, thread: str) -> None:
    forged: list[dict[str, str]] = [
        {},
        {"x-auth-scheme": "langsmith"},
        {"x-auth-scheme": "langsmith", "x-api-key": "lsv2_anything"},
        {"authorization": "Bearer cs_nobody"},
        {"authorization": f"Bearer {running.tokens()['demo-reviewer']}"},
        {"x-user": "demo-reviewer", "langgraph_auth_user": "demo-reviewer"},
    ]
    for headers in forged:
        with running.graph(None, **headers) as client:
            for method, path, body in [
                ("POST", "/threads/search", {}),
                ("GET", f"/threads/{thread}", None),
                ("POST", "/threads", {}),
                (
                    "POST",
                    f"/threads/{thread}/runs",
                    {
                        "assistant_id": "refund_agent",
                        "command": {"resume": {"decisions": [{"type": "approve"}]}},
                    },
                ),
            ]:
                assert client.request(method, path, json=body).status_code == 401, (headers, path)
    assert running.status(thread) == "needs_human"


def test_a_token_of_the_server_api_opens_nothing_at_the_desk(running: RunningHouse) -> None:
    with running.desk("demo-reviewer@server") as desk:
        for path in ("/api/me", "/api/cases", "/api/ledger"):
            assert desk.get(path).status_code == 401
        assert desk.get("/api/server/me").status_code == 200


def test_the_server_may_be_asked_whether_it_lives(running: RunningHouse) -> None:
    with running.graph(None) as client:
        assert client.get("/ok").json()["ok"] is True
        assert client.get("/info").status_code == 200


def test_a_run_from_the_last_checkpoint_is_a_run(running: RunningHouse) -> None:
    """Some interfaces name the checkpoint that they show; that one is not old."""
    case = running.paused(order_id="X301")
    reviewer = running.sdk()
    head = reviewer.threads.get_state(case["case_id"])["checkpoint"]
    reviewer.runs.wait(
        case["case_id"],
        "refund_agent",
        command={"resume": {"decisions": [{"type": "approve"}]}},
        checkpoint=head,
    )
    assert running.reaches(case["case_id"], "refunded")
