"""The boundaries between the folders: import contracts, and what a process really loads."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("refunds", "policies", "records", "runtime", "tools", "graph", "desk", "cashier", "app", "evals", "cli", "deploy")  # fmt: skip
STRICT = {"LANGGRAPH_STRICT_MSGPACK": "true"}


def loaded(code: str) -> set[str]:
    """The top-level modules that a fresh process has after running the code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | STRICT,
    )
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


MODELS = {"langgraph", "langchain_core", "langchain_openai", "langfuse", "openai"}


def test_loading_the_graph_loads_neither_the_cashier_nor_a_payment_library() -> None:
    assert not loaded("import graph.refund_graph, graph.drive") & {"cashier", "desk", "stripe", "sqlite3"}


def test_the_cashier_loads_no_model_library() -> None:
    assert not loaded("import cashier.__main__") & (MODELS | {"graph", "desk", "tools"})


def test_the_desk_loads_neither_the_graph_nor_the_cashier() -> None:
    assert not loaded("import desk.decisions, desk.intake, desk.queue, desk.flags") & (
        MODELS | {"graph", "cashier", "tools"}
    )


@pytest.mark.parametrize(
    "module", ["refunds.proposal", "policies.clauses", "policies.transitions", "policies.manifest"]
)
def test_words_and_rules_load_no_database_and_no_model(module: str) -> None:
    assert not loaded(f"import {module}") & (MODELS | {"psycopg", "procrastinate", "httpx"})


def test_the_entry_point_imports_late() -> None:
    there = loaded("import countersign")
    assert not there & (MODELS | {"psycopg", "graph", "desk", "cashier", "deploy", "app", "evals"})


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("refunds/money.py", "import records.books", "The domain knows nobody"),
        ("policies/budget.py", "import records.books", "The domain knows nobody"),
        ("records/cases.py", "import runtime.home", "The domain knows nobody"),
        ("app/house.py", "import evals.exam.episode_run", "The domain knows nobody"),
        ("deploy/serve.py", "import evals.questions", "The domain knows nobody"),
        ("records/cases.py", "import policies.budget", "The domain knows nobody"),
        ("graph/drive.py", "import cashier.executor", "The domain knows nobody"),
        ("graph/drive.py", "import desk.decisions", "The domain knows nobody"),
        ("cashier/executor.py", "import desk.decisions", "The domain knows nobody"),
        ("tools/gateway.py", "import graph.state", "The domain knows nobody"),
        ("cashier/executor.py", "import tools.gateway", "The cashier and the people"),
        ("policies/budget.py", "import psycopg", "The domain and the rules touch nothing"),
        ("cashier/executor.py", "import langchain_core", "The cashier loads no model library"),
        ("graph/drive.py", "import stripe", "The agent loads no payment library"),
    ],
)
def test_an_import_across_a_boundary_is_caught(tmp_path: Path, file: str, line: str, contract: str) -> None:
    """Each contract is broken once, in a copy, and the linter says its name."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    broken = tmp_path / file
    broken.write_text(broken.read_text() + f"\n{line}\n")
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "200"},
    )
    said = " ".join(done.stdout.split())
    assert done.returncode == 1
    assert "BROKEN" in said
    assert any(
        contract in part and "BROKEN" in part for part in done.stdout.replace("\n", " ").split("KEPT")
    ), said


def test_mypy_catches_a_node_that_goes_where_it_may_not(tmp_path: Path) -> None:
    """Command[Literal[...]] is drawn and not enforced by LangGraph; the types of `make check` are what enforces it."""
    bad = tmp_path / "bad.py"
    bad.write_text(
        "from typing import Literal\n"
        "from langgraph.types import Command\n"
        "def node() -> Command[Literal['close']]:\n"
        "    return Command(goto='refund')\n"
        "from refunds.decision import Decision\n"
        "from refunds.refund import ApprovedRefund\n"
        "def pay(refund: ApprovedRefund) -> None: ...\n"
        "def wrong(refund: Decision) -> None:\n"
        "    pay(refund)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", str(bad)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert "Literal['refund']" in done.stdout
    assert 'incompatible type "Decision"; expected "ApprovedRefund"' in done.stdout


def test_values_of_the_domain_the_rules_and_the_cashier_are_frozen() -> None:
    loose = [
        f"{file.relative_to(ROOT)}: {node.name}"
        for folder in ("refunds", "policies", "cashier")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for decorator in map(ast.unparse, node.decorator_list)
        if decorator.startswith("dataclass") and "frozen=True" not in decorator
    ]
    assert loose == []


def test_the_fixed_names_resolve_to_ours() -> None:
    for name in FOLDERS:
        module = __import__(name)
        assert Path(str(module.__file__)).parent == ROOT / name
        assert module.__doc__


def test_no_address_of_a_registry_and_no_path_of_a_machine_stands_in_the_tree() -> None:
    hosts = ("py" + "pi.org", "python" + "hosted.org", "registry.npm" + "js.org", "deb.deb" + "ian.org")
    files = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=False, cwd=ROOT)
    names = [name for name in files.stdout.split("\0") if name] or ["requirements.lock"]
    for name in names:
        text = (ROOT / name).read_text(encoding="utf-8", errors="replace") if (ROOT / name).is_file() else ""
        assert not any(host in text for host in hosts), name
