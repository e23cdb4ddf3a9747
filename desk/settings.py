"""The settings of the desk's process: environment prefix DESK_."""

from pathlib import Path
from typing import Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class DeskSettings(BaseSettings):
    """What the desk needs: its own door to the books, its key, the intake bundle's key, a channel for replies."""

    model_config = SettingsConfigDict(env_prefix="DESK_", frozen=True, extra="ignore")

    database_url: SecretStr
    host: str = "127.0.0.1"
    port: int = 8080
    key_file: Path
    """The private JWK that signs decisions."""

    intake_key_file: Path | None = None
    """The intake bundle's private JWK; without it only signed tickets come in verified."""

    intake_keys: Path
    """The intake bundle's public JWKs."""

    public_url: str = ""
    """Where people reach this desk; what a refused server client is pointed to."""

    channel: Literal["file", "smtp"] = "file"
    outbox_folder: Path = Path("outbox")
    mail_from: str = "support@countersign.invalid"
    smtp_host: str = "127.0.0.1"
    smtp_port: int = 25
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_starttls: bool = False
