"""A copy of a receipt in Langfuse: over real HTTP, with a score a row; and nothing is missing without it."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from evals.exam.publishing import Langfuse, NotPublished, publish
from evals.exam.sets import the_set
from policies.gate import DATASET

REPORT = Path(__file__).parents[2] / "evals" / "reports" / f"{DATASET}.json"


@contextmanager
def receiving(status: int = 200) -> Iterator[tuple[str, list[tuple[str, str, dict[str, Any]]]]]:
    """A server that takes what is sent, and its list."""
    taken: list[tuple[str, str, dict[str, Any]]] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            taken.append((self.path, self.headers["authorization"], body))
            self.send_response(status)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *said: object) -> None:
            del said

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_each_row_is_an_item_of_the_dataset_in_a_run_with_a_score() -> None:
    receipt = json.loads(REPORT.read_text())
    receipt["rows"][0]["passed"], receipt["rows"][0]["grade"] = False, "unexpected_status"
    with receiving() as (host, taken):
        rows = publish(Langfuse(host, "pk", "sk"), the_set(DATASET, Path()).dataset, receipt)
        again = publish(Langfuse(host, "pk", "sk"), the_set(DATASET, Path()).dataset, receipt)
    assert rows == again == 6
    half = taken[: len(taken) // 2]
    basic = "Basic " + base64.b64encode(b"pk:sk").decode()
    assert {authorization for _, authorization, _ in taken} == {basic}
    by_path: dict[str, list[dict[str, Any]]] = {}
    for path, _, body in half:
        by_path.setdefault(path, []).append(body)
    assert [body["name"] for body in by_path["/api/public/v2/datasets"]] == [DATASET]
    assert len({body["id"] for body in by_path["/api/public/dataset-items"]}) == 6
    assert len({body["runName"] for body in by_path["/api/public/dataset-run-items"]}) == 1
    scores = by_path["/api/public/scores"]
    assert sorted(body["value"] for body in scores) == [0, 1, 1, 1, 1, 1]
    assert {body["comment"] for body in scores} == {"pass", "unexpected_status"}
    # Published twice it is the same run, not two.
    assert [body.get("id") for _, _, body in half] == [body.get("id") for _, _, body in taken[len(half) :]]


def test_a_server_that_refuses_or_is_away_is_one_reason() -> None:
    receipt, dataset = json.loads(REPORT.read_text()), the_set(DATASET, Path()).dataset
    with receiving(401) as (host, _), pytest.raises(NotPublished, match="401"):
        publish(Langfuse(host, "pk", "sk"), dataset, receipt)
    with pytest.raises(NotPublished, match="ConnectError"):
        publish(Langfuse("http://127.0.0.1:9", "pk", "sk"), dataset, receipt)


def test_without_keys_there_is_nobody_to_tell() -> None:
    assert Langfuse.of_environment({}) is None
    assert Langfuse.of_environment({"LANGFUSE_PUBLIC_KEY": "pk"}) is None
    found = Langfuse.of_environment(
        {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk", "LANGFUSE_HOST": "http://here/"}
    )
    assert found == Langfuse("http://here", "pk", "sk")
