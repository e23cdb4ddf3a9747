"""The settings of the cashier's process: environment prefix CASHIER_."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class CashierSettings(BaseSettings):
    """What the cashier needs: its own role in the books, the desk's public keys, a processor."""

    model_config = SettingsConfigDict(env_prefix="CASHIER_", frozen=True, extra="ignore")

    database_url: SecretStr
    desk_keys: Path
    """A JSON file with the public JWKs of the desk; never read from the books."""

    processor: Literal["twin"] = "twin"
    """Who holds the money; `twin` is the simulated provider."""

    provider_file: Path
    """Where the simulated provider keeps its refunds."""

    poll_seconds: Annotated[int, Field(ge=1, le=59)] = 2
    late_failure_seconds: Annotated[int, Field(ge=60)] = 600
    retry_seconds: float = 2.0
