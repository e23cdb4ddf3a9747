"""Publishing: a receipt as a dataset with an experiment run and a score a row in Langfuse, where one is configured.

What is ours stays the record: the receipt, and the books. This is a copy for who looks there, sent by plain HTTP with a
limit of its own: the SDK's own queue can hold a command for most of a minute after its server is gone.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from evals.exam.episode import Dataset, episode_line
from refunds.canonical import digest

SECONDS = 5.0


class NotPublished(Exception):
    """Langfuse did not take it; the message says why. Nothing else depends on it."""


@dataclass(frozen=True, slots=True)
class Langfuse:
    """Where it is, and who writes there."""

    host: str
    public_key: str
    secret_key: str

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> "Langfuse | None":
        """None where no keys are set."""
        public, secret = environment.get("LANGFUSE_PUBLIC_KEY"), environment.get("LANGFUSE_SECRET_KEY")
        if not public or not secret:
            return None
        host = (
            environment.get("LANGFUSE_BASE_URL")
            or environment.get("LANGFUSE_HOST")
            or "https://cloud.langfuse.com"
        )
        return cls(host.rstrip("/"), public, secret)


def publish(langfuse: Langfuse, dataset: Dataset, receipt: Mapping[str, Any]) -> int:
    """The dataset, an item an episode, a run of this version and a score a row; how many rows. Raises NotPublished."""
    run = f"{receipt['agent_version']} {str(receipt['manifest_sha256'])[:12]}"
    lines = {episode.name: episode_line(episode) for episode in dataset.episodes}
    try:
        with httpx.Client(
            base_url=langfuse.host, auth=(langfuse.public_key, langfuse.secret_key), timeout=SECONDS
        ) as client:
            _send(client, "/api/public/v2/datasets", {"name": dataset.name})
            for row in receipt["rows"]:
                name = str(row["episode"])
                item = f"{dataset.name}-{digest([dataset.key(), name])[:24]}"
                trace = trace_id_of_row(run, item)
                line = lines.get(name, {})
                _send(
                    client,
                    "/api/public/dataset-items",
                    {
                        "datasetName": dataset.name,
                        "id": item,
                        "input": {"episode": name, "given": line.get("given")},
                        "expectedOutput": line.get("expected"),
                    },
                )
                _send(client, "/api/public/ingestion", _trace(run, trace, row))
                _send(
                    client,
                    "/api/public/dataset-run-items",
                    {"runName": run, "datasetItemId": item, "traceId": trace, "metadata": _about(receipt)},
                )
                _send(
                    client,
                    "/api/public/scores",
                    {
                        "id": f"{trace}-passed",
                        "traceId": trace,
                        "name": str(receipt["grader_version"]),
                        "value": 1 if row["passed"] else 0,
                        "dataType": "BOOLEAN",
                        "comment": row["grade"],
                    },
                )
    except httpx.HTTPError as error:
        raise NotPublished(f"{langfuse.host}: {type(error).__name__}") from None
    return len(receipt["rows"])


def trace_id_of_row(run: str, item: str) -> str:
    """The trace of a row, the same however often it is published: 32 hex digits."""
    return digest([run, item])[:32]


def _about(receipt: Mapping[str, Any]) -> dict[str, object]:
    return {name: receipt[name] for name in ("commit", "manifest_sha256", "corpus_sha256", "planner", "seed")}


def _trace(run: str, trace: str, row: Mapping[str, Any]) -> dict[str, object]:
    told = {
        name: row[name] for name in ("status", "reason", "actions", "citations", "refunds", "refunded_minor")
    }
    body = {"id": trace, "name": row["episode"], "output": told, "tags": ["exam"], "release": run}
    return {
        "batch": [
            {
                "id": f"{trace}-trace",
                "type": "trace-create",
                "timestamp": datetime.now(UTC).isoformat(),
                "body": body,
            }
        ]
    }


def _send(client: httpx.Client, path: str, body: Mapping[str, object]) -> None:
    answer = client.post(path, json=body)
    if answer.status_code >= 400:
        raise NotPublished(f"{client.base_url}: {path} answered {answer.status_code}")
