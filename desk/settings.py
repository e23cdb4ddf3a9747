"""The settings of the desk's process: environment prefix DESK_."""

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class DeskSettings(BaseSettings):
    """What the people's process needs: its own door to the books, the key it signs with, the intake's keys."""

    model_config = SettingsConfigDict(env_prefix="DESK_", frozen=True, extra="ignore")

    database_url: SecretStr
    signing_key: Path
    """A JSON file of mode 0600 with the desk's private JWK."""

    intake_keys: Path
    """A JSON file with the public JWKs of the intake."""

    intake_signing_key: Path | None = None
    """The intake bundle's private JWK, where this desk classifies raw tickets itself."""
