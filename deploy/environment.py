"""The environment of each process: its own role in the books, the keys it needs, and nothing of the others'."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graph.settings import RunnerKind
from runtime.home import Home
from runtime.parent_watch import VARIABLE

ROOT = Path(__file__).parents[1]

PASSED_ON = ("HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE")
SHARED = ("COUNTERSIGN_MANIFEST", "COUNTERSIGN_ROLLOUT", "COUNTERSIGN_MODE", "COUNTERSIGN_LOGS")
AGENT_PREFIXES = ("GRAPH_", "OPENAI_", "LANGFUSE_", "OTEL_EXPORTER_OTLP_")
OWN = {
    "graph": (*AGENT_PREFIXES, *SHARED),
    "worker": (*AGENT_PREFIXES, *SHARED),
    "desk": ("DESK_", *SHARED),
    "cashier": ("CASHIER_", "COUNTERSIGN_LOGS"),
    "anchorer": ("COUNTERSIGN_LOGS",),
    "language": (),
    "meaning": (),
}
"""Which settings of the environment reach which process."""

OF_THE_PROCESS = (
    *PASSED_ON,
    "PATH",
    "GRAPH_CONFIG",
    "GRAPH_PORT",
    "LOG_LEVEL",
    "LOG_JSON",
    "LOG_COLOR",
    VARIABLE,
)
"""What a process has of the one that started it, and nobody else needs."""

QUIET = {
    "LANGGRAPH_STRICT_MSGPACK": "true",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGGRAPH_NO_VERSION_CHECK": "true",
    "LANGGRAPH_CLI_NO_ANALYTICS": "1",
    "LOG_LEVEL": "WARNING",
    "LOG_JSON": "true",
    "LOG_COLOR": "false",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the house is reached."""

    graph_port: int = 2024
    desk_port: int = 8080

    @property
    def graph(self) -> str:
        return f"http://127.0.0.1:{self.graph_port}"

    @property
    def desk(self) -> str:
        return f"http://127.0.0.1:{self.desk_port}"


def environments(
    home: Home, admin_url: str, addresses: Addresses, runner: RunnerKind, environment: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """The environment of each process of the Procfile, by name."""
    base = {name: environment[name] for name in PASSED_ON if name in environment} | QUIET
    base["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    base[VARIABLE] = str(os.getpid())
    agent = {
        "GRAPH_DATABASE_URL": home.role_url("graph", admin_url),
        "GRAPH_INTAKE_KEYS": str(home.public_keys_file("intake")),
        "GRAPH_TOOLS_KEY": str(home.private_key_file("tools")),
        "GRAPH_DESK_URL": addresses.desk,
        "GRAPH_PORT": str(addresses.graph_port),
        "GRAPH_CONFIG": str(ROOT / "langgraph.json"),
        "RUNNER": runner,
    }
    told = {
        "graph": agent,
        "worker": agent,
        "desk": {
            "DESK_DATABASE_URL": home.role_url("desk", admin_url),
            "DESK_PORT": str(addresses.desk_port),
            "DESK_KEY_FILE": str(home.private_key_file("desk")),
            "DESK_INTAKE_KEY_FILE": str(home.private_key_file("intake")),
            "DESK_INTAKE_KEYS": str(home.public_keys_file("intake")),
            "DESK_SESSION_SECRET": home.session_secret(),
            "DESK_OUTBOX_FOLDER": str(home.outbox),
        },
        "cashier": {
            "CASHIER_DATABASE_URL": home.role_url("cashier", admin_url),
            "CASHIER_DESK_KEYS": str(home.public_keys_file("desk")),
            "CASHIER_PROVIDER_FILE": str(home.provider_file),
        },
        "anchorer": {
            "ANCHORER_DATABASE_URL": home.role_url("anchorer", admin_url),
            "ANCHORER_KEY_FILE": str(home.private_key_file("anchor")),
            "ANCHORER_COPY": str(home.anchors_file),
        },
    }
    # Models of this machine hold no key and no way to the books.
    told |= {
        name: {port: environment[port]}
        for name, port in (("language", "LANGUAGE_PORT"), ("meaning", "MEANING_PORT"))
        if port in environment
    }
    keys = provider_keys(environment)
    chosen = {
        process: {name: value for name, value in environment.items() if name.startswith(prefixes)}
        for process, prefixes in OWN.items()
    }
    for process in ("graph", "worker"):
        chosen[process] |= keys
    return {process: base | chosen[process] | told[process] for process in told}


def provider_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """The keys that the file of providers names, and no other variable. Raises BadProvider."""
    named = environment.get("GRAPH_PROVIDERS")
    if not named:
        return {}
    from graph.model.providers import read_providers  # noqa: PLC0415  (a table of prices)

    wanted = {provider.api_key_env for provider in read_providers(Path(named), environment).values()}
    return {name: environment[name] for name in wanted if name in environment}
