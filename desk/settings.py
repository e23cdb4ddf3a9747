"""The settings of the desk's process: environment prefix DESK_."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from refunds.vocabulary import CaseMode


class DeskSettings(BaseSettings):
    """What the desk needs: its own role in the books, its key, the intake bundle's key, a channel for replies."""

    model_config = SettingsConfigDict(env_prefix="DESK_", frozen=True, extra="ignore", populate_by_name=True)

    database_url: SecretStr
    manifest: Path | None = Field(
        default=None, validation_alias=AliasChoices("COUNTERSIGN_MANIFEST", "manifest")
    )
    """A manifest of the shop's own; the release's where none is named."""

    rollout: Path | None = Field(
        default=None, validation_alias=AliasChoices("COUNTERSIGN_ROLLOUT", "rollout")
    )
    """What the steps of a release are earned with; this program's limits where none are named."""

    mode: CaseMode = Field(default="production", validation_alias=AliasChoices("COUNTERSIGN_MODE", "mode"))
    """What the cases that come in from now on may do outside."""

    host: str = "127.0.0.1"
    port: int = 8080
    key_file: Path
    """The private JWK that signs decisions."""

    intake_key_file: Path | None = None
    """The intake bundle's private JWK; without it only signed tickets come in verified."""

    intake_keys: Path
    """The intake bundle's public JWKs."""

    trusted_proxies: str = ""
    """Addresses of proxies whose word on where a request came from is believed, with commas between them."""

    public_url: str = ""
    """Where people reach this desk; what a refused server client is pointed to."""

    take_back_seconds: Annotated[int, Field(ge=0, le=120)] = 10
    """For how long an approval at the page can be taken back before it counts; at once at zero, as everywhere else."""

    channel: Literal["file", "smtp"] = "file"
    outbox_folder: Path = Path("outbox")
    mail_from: str = "support@countersign.invalid"
    smtp_host: str = "127.0.0.1"
    smtp_port: int = 25
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_starttls: bool = False
    notify: Literal["none", "channel"] = "none"
    """Whether people with an address are told by the same channel that replies leave by."""

    webhook_url: str = ""
    webhook_secret: SecretStr | None = None
    """Who else is told, and the secret that signs what they are told."""

    session_secret: Annotated[SecretStr, Field(min_length=32)]
    """Signs the cookies of people at the page and the links that customers rate by."""

    oidc_issuer: str = ""
    """The address of an OpenID provider whose people may sign in; empty where local accounts are all there are."""

    oidc_client_id: str = ""
    oidc_client_secret: SecretStr | None = None
    oidc_scopes: str = "openid profile email"
    oidc_name_claim: str = "preferred_username"
    """Which claim is a person's name in the books."""

    oidc_roles_claim: str = "countersign"
    """Which claim says the roles: an object of tenants, each with a list of roles."""

    oidc_label: str = "your organisation"
