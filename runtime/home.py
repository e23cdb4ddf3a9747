"""The home of a house: what it keeps on its own disk beside the books. Passwords, keys, the anchors' copy.

On a machine of one user this is all the wall there is between the roles; deploy/ gives each process its
own user and its own secrets.
"""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import Connection, sql

from records.books import BooksAway
from records.connection import connection_string
from records.roles import LOGIN_ROLES, LoginRole, RolePasswords, url_as
from runtime.embedded import EmbeddedPostgres

DATABASE = "countersign"


class BadHome(Exception):
    """The home holds something that cannot be read; the message names the file."""


@dataclass(frozen=True, slots=True)
class Home:
    """One folder, and the database that belongs to it."""

    folder: Path
    database_url: str | None = None
    """The superuser's or owner's URL of a Postgres of one's own; None means the embedded one."""

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> "Home":
        """The home that COUNTERSIGN_HOME and DATABASE_URL name."""
        url = environment.get("DATABASE_URL") or None
        if url is not None:
            check_url(url)
        return cls(Path(environment.get("COUNTERSIGN_HOME") or "var").absolute(), url)

    def admin_url(self, database: str | None = None) -> str:
        """The owner's URL of the house's database, or of another one beside it; made where it is not there.

        Starts the embedded server if it has to. Raises BooksAway.
        """
        url = self.database_url or with_database(EmbeddedPostgres(self.folder).start(), DATABASE)
        if database is not None:
            url = with_database(url, database)
        if database is not None or self.database_url is None:
            make_database(url)
        return url

    def passwords(self) -> RolePasswords:
        """The password of each role: made on first use, or following from the owner's on a server of one's own.

        Whoever has the owner's URL may set them all, and every home with that URL has the same ones.
        """
        owner = urlsplit(self.database_url).password if self.database_url else None
        if owner:
            return {
                role: hmac.new(owner.encode(), role.encode(), "sha256").hexdigest() for role in LOGIN_ROLES
            }
        file = self.folder / "roles.json"
        if not file.exists():
            write_secret(file, json.dumps({role: secrets.token_urlsafe(24) for role in LOGIN_ROLES}))
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            return {role: str(found[role]) for role in LOGIN_ROLES}
        except (ValueError, KeyError, TypeError):
            raise BadHome(
                f"{file}: not the passwords of the roles: remove it and run countersign db up"
            ) from None

    def role_url(self, role: LoginRole, admin_url: str) -> str:
        """The address at which one of the house's roles reaches this database."""
        return url_as(admin_url, role, self.passwords()[role])

    def private_key_file(self, name: str) -> Path:
        return self.folder / "keys" / f"{name}.private.json"

    def public_keys_file(self, name: str) -> Path:
        return self.folder / "keys" / f"{name}.public.json"

    @property
    def provider_file(self) -> Path:
        return self.folder / "provider.sqlite"

    @property
    def anchors_file(self) -> Path:
        """The copy of the signed anchors outside the database, one a database."""
        if self.database_url is None:
            return self.folder / "anchors.jsonl"
        parts = urlsplit(self.database_url)
        name = hashlib.sha256(f"{parts.hostname}:{parts.port}{parts.path}".encode()).hexdigest()[:12]
        return self.folder / f"anchors-{name}.jsonl"

    @property
    def token_file(self) -> Path:
        """The tokens of the demo shop's people."""
        return self.folder / "demo-tokens.json"

    @property
    def server_token_file(self) -> Path:
        """The tokens of the demo shop's people for the server API."""
        return self.folder / "demo-server-tokens.json"

    def session_secret(self) -> str:
        """What signs the cookies of the desk's page: made on first use."""
        file = self.folder / "keys" / "session.secret"
        if not file.exists():
            write_secret(file, secrets.token_urlsafe(48))
        return file.read_text(encoding="utf-8").strip()

    @property
    def password_file(self) -> Path:
        """The passwords of the demo shop's people, for the page."""
        return self.folder / "demo-passwords.json"

    @property
    def outbox(self) -> Path:
        """Where replies go while no mail server is named."""
        return self.folder / "outbox"


def check_url(url: str) -> None:
    """BadHome where a database URL cannot be one; never says what is in it, because a password may be."""
    try:
        parts = urlsplit(url)
        usable = (
            parts.scheme in {"postgresql", "postgres"}
            and bool(parts.hostname)
            and bool(parts.path.strip("/"))
        )
        _ = parts.port
    except ValueError:
        usable = False
    if not usable:
        raise BadHome("DATABASE_URL: not of the form postgresql://user:password@host:port/database")


def with_database(url: str, database: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def make_database(url: str) -> None:
    """Create the database of a URL where it is not there."""
    name = urlsplit(url).path.lstrip("/")
    # It may be there, or another command may make it in this instant.
    there = contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation)
    with _maintenance(url) as connection, there:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))


def drop_database(url: str) -> None:
    """Drop the database of a URL with everything in it."""
    name = urlsplit(url).path.lstrip("/")
    with _maintenance(url) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def drop_books(home: Home) -> None:
    """Drop the embedded books, and what lies beside them and speaks of them."""
    drop_database(home.admin_url())
    for file in (home.anchors_file, *home.folder.glob(f"{home.provider_file.name}*")):
        file.unlink(missing_ok=True)


def _maintenance(url: str) -> Connection:
    try:
        return psycopg.connect(
            connection_string(with_database(url, "postgres"), statement_seconds=0), autocommit=True
        )
    except psycopg.OperationalError as error:
        raise BooksAway(str(error).strip().splitlines()[-1]) from None


def write_secret(file: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all, once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    half.touch(mode=0o600)
    half.write_text(text, encoding="utf-8")
    # Of two writers at once the second keeps what the first one wrote.
    with contextlib.suppress(FileExistsError):
        file.hardlink_to(half)
    half.unlink()


def read_home_json(file: Path) -> object:
    """A JSON file of the home; BadHome names it where it is missing or broken."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadHome(f"{file} is missing: run countersign db up") from None
    except ValueError:
        raise BadHome(f"{file} is not JSON: restore it, or remove it and run countersign db up") from None
