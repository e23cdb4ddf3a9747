"""The agent's manifest: what shapes its behaviour, pinned. A mismatch refuses to start and names the field."""

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from policies.actions import ARGUMENTS, TIERS
from policies.budget import Limits
from policies.documents import corpus_sha256
from policies.prompts import NEEDED, PROMPTS, Prompt, PromptName, prompt
from policies.reading.bundle import bundle_sha256
from policies.spending import SpendLimits
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


class ModelRoute(BaseModel):
    """A model at a provider; the settings of a process say where the provider is."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    provider: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,32}$")]
    model: Annotated[str, Field(pattern=r"^[!-~]{1,100}$")]

    @property
    def endpoint(self) -> str:
        """How its calls, limits and failures are counted."""
        return f"{self.provider}/{self.model}"


Routes = Annotated[list[ModelRoute], Field(min_length=1, max_length=8)]
"""Models in the order in which they are asked: the next one where the one before cannot answer."""

PlannerKind = Literal["deterministic", "model"]


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
    planner: PlannerKind
    models: dict[PromptName, Routes]
    prompts: dict[PromptName, Pinned]
    tool_schema: Pinned
    corpus: Pinned
    reader: Pinned
    """The trained bundle of the intake."""

    budgets: dict[PlannerKind, Profile]
    time_to_decide_hours: Annotated[int, Field(ge=1, le=720)]
    spending: dict[PlannerKind, SpendLimits]

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

    def spend_limits(self) -> SpendLimits:
        """What its models may cost."""
        return self.spending[self.planner]

    def prompt(self, name: PromptName) -> Prompt:
        """A prompt in the version that this manifest names."""
        return prompt(name, self.prompts[name].version)


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


def check_manifest(manifest: Manifest, corpus: Path = DEMO_CORPUS) -> Manifest:
    """The manifest, if it describes what is here; ManifestMismatch otherwise."""
    for field, wanted, found in (
        ("tool_schema.sha256", manifest.tool_schema.sha256, tool_schema_sha256()),
        ("corpus.sha256", manifest.corpus.sha256, corpus_sha256(corpus)),
        ("reader.sha256", manifest.reader.sha256, bundle_sha256()),
    ):
        if wanted != found:
            raise ManifestMismatch(
                f"manifest: {field}: says {wanted[:12]}…, found {found[:12]}…: "
                "raise the version and write the new hash, or restore the file"
            )
    for name in PROMPTS:
        _check_prompt(manifest, name)
    for named, given in (("budgets", manifest.budgets), ("spending", manifest.spending)):
        if manifest.planner not in given:
            raise ManifestMismatch(f"manifest: {named}: none for the planner {manifest.planner}")
    return manifest


def _check_prompt(manifest: Manifest, name: PromptName) -> None:
    if name not in manifest.prompts or name not in manifest.models:
        if name not in NEEDED and name not in manifest.models:
            return
        raise ManifestMismatch(f"manifest: prompts and models: none for {name}")
    pinned = manifest.prompts[name]
    try:
        found = prompt(name, pinned.version).sha256
    except OSError:
        raise ManifestMismatch(
            f"manifest: prompts.{name}.version: there is no {name}-{pinned.version}.md"
        ) from None
    if found != pinned.sha256:
        raise ManifestMismatch(
            f"manifest: prompts.{name}.sha256: says {pinned.sha256[:12]}…, found {found[:12]}…: "
            "a prompt that changes is a file of a new version"
        )


@cache
def manifest(file: Path | None = None) -> Manifest:
    """The manifest of this release, or one of a shop's own; checked."""
    chosen = file or MANIFEST
    try:
        text = chosen.read_text(encoding="utf-8")
    except OSError as error:
        raise ManifestMismatch(f"manifest: {chosen}: {error.strerror}") from None
    return check_manifest(Manifest.read(text))
