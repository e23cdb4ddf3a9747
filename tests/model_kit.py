"""A house whose agent is a model: the fake provider behind it, and a model that does its work well."""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fake_openai import FakeOpenAI
from stage import Cluster, Stage, open_stage

from graph.model.models import models_of
from graph.model.providers import Provider
from graph.services import GraphServices
from graph.settings import GraphSettings
from graph.tracing import Spans
from policies.manifest import Manifest, ModelRoute, Profile, manifest
from policies.spending import SpendLimit, SpendLimits

PRICED = {"input": 250_000, "output": 2_000_000}
"""Micros for a million tokens."""


def section(data: str, name: str) -> str:
    """What stands under a name in a message."""
    match = re.search(rf"^{name}:\n(.*?)(?=\n\n\w+:\n|\Z)", data, re.DOTALL | re.MULTILINE)
    return match[1] if match else ""


def fenced(text: str) -> str:
    """What stands between the fences of a section."""
    return "\n".join(text.splitlines()[1:-1])


def data_of(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


def plan(action: str, **given: object) -> str:
    fields = {"question": None, "order_id": None, "reason": None, "also_order_id": None}
    return json.dumps({"action": action, **fields, **given})


def diligent(body: dict[str, Any]) -> str:
    """A model that does its work: reads both at once, drafts, asks a person."""
    data = data_of(body)
    if body["response_format"]["json_schema"]["name"] == "Reply":
        return reply_to(data)
    case, results = json.loads(section(data, "case")), json.loads(section(data, "results"))
    said = [(row["action"], row["result"]) for row in results]
    if not said:
        question = fenced(section(data, "customer"))
        return plan("get_policy_evidence", question=question or "?", also_order_id=case["order_id"])
    if said[-1] == ("draft_reply", "cited_draft"):
        return plan("request_human_approval", reason="draft_ready_for_review")
    found = dict(said)
    if found.get("get_policy_evidence") != "grounded":
        return plan("request_human_approval", reason="no_approved_evidence")
    if found.get("lookup_order") != "found":
        return plan("request_human_approval", reason="missing_order")
    return plan("draft_reply")


def reply_to(data: str) -> str:
    """A right reply to a drafter's message: what is decided at its places, and kind words around."""
    decided = json.loads(fenced(section(data, "decided")))
    marks = "\n\n".join(one["place"] for one in decided)
    text = (
        f"Hello,\n\nthank you for writing to us about your order.\n\n{marks}\n\n"
        f"Please tell us if there is anything else that we can do for you.\n\n{section(data, 'sign_off')}"
    )
    return json.dumps({"reply": text})


def model_manifest(**changes: object) -> Manifest:
    """The release's manifest with a model of the fake provider that plans and one that drafts."""
    planner = [ModelRoute(provider="fake", model="small")]
    drafter = [ModelRoute(provider="fake", model="large"), ModelRoute(provider="fake", model="small")]
    given: dict[str, object] = {"planner": "model", "models": {"plan": planner, "draft": drafter}}
    return manifest().model_copy(update=given | changes)


def spend_limits(**changes: SpendLimit) -> dict[str, SpendLimits]:
    plenty = SpendLimit(tokens=10_000_000, cost_micros=100_000_000)
    given: dict[str, Any] = {
        "customer_day": plenty,
        "tenant_day": plenty,
        "tenant_month": plenty,
        "warn_percent": 80,
    }
    return {"model": SpendLimits(**(given | changes))}


def profile(**changes: int) -> dict[str, Profile]:
    given = {"steps": 8, "tokens": 60_000, "latency_ms": 60_000, "cost_micros": 200_000}
    return {"model": Profile(**(given | changes))}


def equipped(
    fake: FakeOpenAI,
    pinned: Manifest | None = None,
    *,
    spans: Spans | None = None,
    moderation: str | None = None,
    key: str = "test-key",
    **limits: Any,
) -> Callable[[GraphServices], GraphServices]:
    """What makes services those with a model."""
    provider = {"fake": {"base_url": fake.url, "prices": {"small": PRICED, "large": PRICED}, **limits}}
    for fields in provider.values():
        Provider.model_validate(fields)

    def equip(services: GraphServices) -> GraphServices:
        chosen = pinned or model_manifest(spending=spend_limits(), budgets=profile())
        file = Path(fake.folder) / "providers.json"
        file.write_text(json.dumps(provider))
        settings = GraphSettings(
            database_url="unused", intake_keys=file, providers=file, moderation_model=moderation
        )
        used = spans or services.spans
        models = models_of(settings, chosen, services.books, used, {"OPENAI_API_KEY": key})
        return replace(services, manifest=chosen, models=models, spans=used)

    return equip


@asynccontextmanager
async def model_stage(
    cluster: Cluster, url: str, folder: Path, fake: FakeOpenAI, pinned: Manifest | None = None, **given: Any
) -> AsyncIterator[Stage]:
    """A stage whose agent asks the fake provider."""
    fake.folder = folder
    async with open_stage(cluster.home, url, folder, equip=equipped(fake, pinned, **given)) as stage:
        yield stage
