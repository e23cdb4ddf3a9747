"""The settings of the graph's processes: environment prefix GRAPH_, and which kind of runner the deployment has."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from refunds.vocabulary import CaseMode

RunnerKind = Literal["server", "workers"]

STUDIO = "https://smith.langchain.com"
"""Where LangGraph Studio's page comes from; `studio` stands for it."""

_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?")


def origins_in(text: str) -> tuple[str, ...]:
    """The origins that a setting lists; each is one origin and no pattern. ValueError names the first that is none."""
    named = [one for one in re.split(r"[,\s]+", text) if one]
    # A browser names no port that goes without saying.
    plain = [re.sub(r"^(http:.*):80$|^(https:.*):443$", r"\1\2", one.lower().rstrip("/")) for one in named]
    origins = tuple(STUDIO if one == "studio" else one for one in plain)
    wrong = [one for one in origins if not _ORIGIN.fullmatch(one)]
    if wrong:
        raise ValueError(f"{wrong[0]}: not an origin, as https://inbox.example or http://localhost:3000")
    return origins


class BadProvider(Exception):
    """The models cannot be used as they are configured; the message says what is missing."""


class GraphSettings(BaseSettings):
    """What the agent needs: its own way to the books, the intake bundle's public keys, the desk's address."""

    model_config = SettingsConfigDict(env_prefix="GRAPH_", frozen=True, extra="ignore", populate_by_name=True)

    database_url: SecretStr
    intake_keys: Path
    desk_url: str = "http://127.0.0.1:8080"
    runner: RunnerKind = Field(default="server", validation_alias=AliasChoices("RUNNER", "runner"))
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins of pages that may call the server API, with commas between them; `studio` is LangGraph Studio's."""

    call_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    """What the desk may take to answer."""

    manifest: Path | None = Field(
        default=None, validation_alias=AliasChoices("COUNTERSIGN_MANIFEST", "manifest")
    )
    """A manifest of the shop's own; the release's where none is named."""

    mode: CaseMode = Field(default="production", validation_alias=AliasChoices("COUNTERSIGN_MODE", "mode"))
    """What the cases that come in from now on may do outside."""

    providers: Path | None = None
    """Where models are besides OPENAI_BASE_URL, what they take at a time, and what they cost."""

    moderation_model: str | None = None
    """The provider's own moderation for the words that go out; by rule alone where none is named."""

    embedding_model: str | None = None
    """An embedding model of the first provider, read beside the words; words alone where none is named."""

    embedding_question_model: str | None = None
    """The name under which the same model reads questions, where its server tells them from documents by that."""

    embedding_provider: str = "openai"

    orders_url: str | None = None
    """The shop's own order service; the books alone where none is named."""

    tools_key: Path | None = None
    """What signs the calls to it."""

    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """Cases that one process drives at a time."""

    durability: Literal["sync", "exit"] | None = None
    """sync on the server and exit in workers, where nothing else is said."""

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _origins(cls, value: object) -> object:
        return origins_in(value) if isinstance(value, str) else value
