"""The settings of the graph's processes: environment prefix GRAPH_, and which kind of runner the deployment has."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

RunnerKind = Literal["server", "workers"]


class GraphSettings(BaseSettings):
    """What the mind needs: its own door to the books, the intake bundle's public keys, the desk's address."""

    model_config = SettingsConfigDict(env_prefix="GRAPH_", frozen=True, extra="ignore", populate_by_name=True)

    database_url: SecretStr
    intake_keys: Path
    desk_url: str = "http://127.0.0.1:8080"
    runner: RunnerKind = Field(default="server", validation_alias=AliasChoices("RUNNER", "runner"))
    call_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    """What the desk may take to answer."""

    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """Cases that one process drives at a time."""

    durability: Literal["sync", "exit"] | None = None
    """sync on the server and exit in workers, where nothing else is said."""
