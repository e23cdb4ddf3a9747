"""The settings of the graph's process: environment prefix GRAPH_."""

from pathlib import Path
from typing import Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class GraphSettings(BaseSettings):
    """What the mind needs: its own door to the books and the public keys of the intake."""

    model_config = SettingsConfigDict(env_prefix="GRAPH_", frozen=True, extra="ignore")

    database_url: SecretStr
    intake_keys: Path
    """A JSON file with the public JWKs of the intake."""

    durability: Literal["sync", "exit"] = "exit"
    pool_size: int = 8
