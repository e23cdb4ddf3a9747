"""The agent's manifest: what shapes its behaviour, pinned. A mismatch refuses to start and names the field."""

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from policies.actions import ARGUMENTS, TIERS
from policies.budget import Limits
from policies.documents import corpus_sha256
from refunds.canonical import digest

MANIFEST = Path(__file__).parent / "manifest.json"
DEMO_CORPUS = Path(__file__).parent / "corpus" / "demo"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ManifestMismatch(Exception):
    """The manifest does not describe what is here; the message names the field."""


class Profile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    steps: Annotated[int, Field(ge=1, le=64)]
    tokens: Annotated[int, Field(ge=0)]
    latency_ms: Annotated[int, Field(ge=1)]
    cost_micros: Annotated[int, Field(ge=0)]

    def limits(self) -> Limits:
        return Limits(self.steps, self.tokens, self.latency_ms, self.cost_micros)


class Pinned(BaseModel):
    """A part with its version and the hash of what it was."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: str
    sha256: Sha256


class Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    agent_version: str
    graph_version: str
    intake_bundle: str
    required_intake_route: Literal["guarded_agent"]
    evidence_service: Literal["document_qa_v2"]
    dashboard_dataset: Literal["refund-agent-episodes-v1"]
    dashboard_grader: Literal["trajectory-gate-v1"]
    forbidden_autonomous_action: Literal["issue_refund"]
    authority: Literal["draft_and_request_approval_only"]
    planner: Literal["deterministic"]
    model: Literal["none"]
    prompt: Literal["none"]
    tool_schema: Pinned
    corpus: Pinned
    budgets: dict[Literal["deterministic", "model"], Profile]
    time_to_decide_hours: Annotated[int, Field(ge=1, le=720)]

    @classmethod
    def read(cls, text: str) -> Self:
        """The manifest in a JSON text; ManifestMismatch names the first field that is wrong."""
        try:
            return cls.model_validate(json.loads(text))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise ManifestMismatch(f"manifest: {field}: {first['msg'].lower()}") from None
        except ValueError as error:
            raise ManifestMismatch(f"manifest: not JSON: {error}") from None

    def limits(self) -> Limits:
        """The budget of the planner that this manifest names."""
        return self.budgets[self.planner].limits()


def tool_schema_sha256() -> str:
    """The hash of what the planner may ask for."""
    return digest(
        {
            "arguments": {
                action: {name: kind.__name__ for name, kind in wanted.items()}
                for action, wanted in ARGUMENTS.items()
            },
            "tiers": dict(TIERS),
        }
    )


def check(manifest: Manifest, corpus: Path = DEMO_CORPUS) -> Manifest:
    """The manifest, if it describes what is here; ManifestMismatch otherwise."""
    for field, wanted, found in (
        ("tool_schema.sha256", manifest.tool_schema.sha256, tool_schema_sha256()),
        ("corpus.sha256", manifest.corpus.sha256, corpus_sha256(corpus)),
    ):
        if wanted != found:
            raise ManifestMismatch(
                f"manifest: {field}: says {wanted[:12]}…, found {found[:12]}…: "
                "raise the version and write the new hash, or restore the file"
            )
    if manifest.planner not in manifest.budgets:
        raise ManifestMismatch(f"manifest: budgets: none for the planner {manifest.planner}")
    return manifest


@cache
def manifest() -> Manifest:
    """The manifest of this release, checked."""
    return check(Manifest.read(MANIFEST.read_text(encoding="utf-8")))
