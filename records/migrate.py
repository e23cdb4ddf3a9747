"""Migrations: numbered files for tables, once each; what holds of them (`sql/laws`) anew wherever it changed."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import LiteralString

import psycopg
from procrastinate.schema import SchemaManager
from psycopg import Connection, sql

from records.connection import connection_string
from records.roles import LOGIN_ROLES, LoginRole, RolePasswords, url_as

SQL = Path(__file__).parent / "sql"
LAWS = 0
"""The number under which the books remember which laws are in force."""

LOCK = 4_071_776_001
"""Advisory lock of migrations; any number that nobody else uses."""


class MigrationRefused(Exception):
    """The schema of the database and the files of the program do not agree."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    number: int
    name: str
    text: LiteralString
    sha256: str


def migrations() -> Iterator[Migration]:
    """The files in order."""
    for entry in sorted((SQL / "migrations").glob("*.sql")):
        text = entry.read_text(encoding="utf-8")
        number, _, _ = entry.name.partition("_")
        yield Migration(int(number), entry.name, text, hashlib.sha256(text.encode()).hexdigest())


@cache
def laws() -> Migration:
    """The files of `sql/laws` as one: what holds of the tables, whichever migrations brought them here."""
    text = "".join(file.read_text(encoding="utf-8") for file in sorted((SQL / "laws").glob("*.sql")))
    return Migration(LAWS, "laws", text, hashlib.sha256(text.encode()).hexdigest())


def migrate(admin_url: str, passwords: RolePasswords | None = None, *, own_server: bool = False) -> list[str]:
    """Bring the books up to this program's schema; the names of what was applied.

    `admin_url` is a superuser's or the database owner's. Raises MigrationRefused where a file was
    edited after it was applied or the database is newer than the program. Roles that are made here get
    their password; on a server of the house's own, also those whose password is another one.
    """
    applied: list[str] = []
    with psycopg.connect(connection_string(admin_url, statement_seconds=0), autocommit=True) as connection:
        there = {row[0] for row in connection.execute("select rolname from pg_roles").fetchall()}
        connection.execute("select pg_advisory_lock(%s)", (LOCK,))
        connection.execute(
            "create table if not exists public.countersign_migrations ("
            " number integer primary key, name text not null, sha256 text not null,"
            " applied_at timestamptz not null default now())"
        )
        done = {
            number: (name, digest)
            for number, name, digest in connection.execute(
                "select number, name, sha256 from public.countersign_migrations"
            ).fetchall()
        }
        known = list(migrations())
        refuse_what_does_not_agree(known, done)
        for migration in known:
            if migration.number not in done:
                with connection.transaction():
                    connection.execute(migration.text)
                    connection.execute("reset role")
                    connection.execute(
                        "insert into public.countersign_migrations (number, name, sha256) values (%s, %s, %s)",
                        (migration.number, migration.name, migration.sha256),
                    )
                applied.append(migration.name)
        in_force = laws()
        if done.get(LAWS) != (in_force.name, in_force.sha256):
            with connection.transaction():
                connection.execute(in_force.text)
                connection.execute(
                    "insert into public.countersign_migrations (number, name, sha256) values (%s, %s, %s)"
                    " on conflict (number) do update set sha256 = excluded.sha256, applied_at = now()",
                    (in_force.number, in_force.name, in_force.sha256),
                )
            applied.append(in_force.name)
        install_jobs(connection)
        if passwords is not None:
            for role in LOGIN_ROLES:
                if role not in there:
                    set_role_password(connection, role, passwords[role])
                elif not logs_in(url_as(admin_url, role, passwords[role])):
                    if not own_server:
                        raise MigrationRefused(
                            f"the server has a role {role} with another password: "
                            "run countersign db migrate as the owner to give it this house's"
                        )
                    set_role_password(connection, role, passwords[role])
    return applied


def refuse_what_does_not_agree(known: list[Migration], done: dict[int, tuple[str, str]]) -> None:
    """MigrationRefused for an edited file or a newer database."""
    newest = known[-1].number
    for number, (name, digest) in sorted(done.items()):
        if number == LAWS:
            continue
        if number > newest:
            raise MigrationRefused(
                f"the database is newer than this program ({name}): run the newer release, or another database"
            )
        file = next((migration for migration in known if migration.number == number), None)
        if file is None or file.sha256 != digest:
            raise MigrationRefused(
                f"{name} was edited after it was applied: restore the file and add a new migration"
            )


@cache
def schema_version() -> int:
    """The number of the newest file."""
    return max(migration.number for migration in migrations())


def install_jobs(connection: Connection) -> None:
    """The job queue's own schema, once, and the grants of those who enqueue and who listen."""
    with connection.transaction():
        found = connection.execute("select to_regclass('jobs.procrastinate_jobs')").fetchone()
        connection.execute("set local role books_owner")
        if found is None or found[0] is None:
            connection.execute("set local search_path = jobs")
            connection.execute(SchemaManager.get_schema())
        connection.execute(
            "grant usage on schema jobs to desk, graph, cashier, anchorer;"
            "grant select, insert, update, delete on all tables in schema jobs to desk, graph, cashier, anchorer;"
            "grant usage on all sequences in schema jobs to desk, graph, cashier, anchorer"
        )


def checkpoints_are_of(library: str, admin_url: str) -> bool:
    """Whether the tables of the checkpoints were last brought up by this release of their library."""
    with psycopg.connect(connection_string(admin_url), autocommit=True) as connection:
        row = connection.execute(
            "select obj_description(to_regnamespace('checkpoints'), 'pg_namespace')"
        ).fetchone()
    return row is not None and row[0] == library


def note_checkpoints(library: str, admin_url: str) -> None:
    """Write down which release of their library brought the tables of the checkpoints up."""
    with psycopg.connect(connection_string(admin_url), autocommit=True) as connection:
        connection.execute(sql.SQL("comment on schema checkpoints is {}").format(sql.Literal(library)))


def logs_in(url: str) -> bool:
    """Whether a role's URL opens the database."""
    try:
        psycopg.connect(connection_string(url)).close()
    except psycopg.OperationalError:
        return False
    return True


def set_role_password(connection: Connection, role: LoginRole, password: str) -> None:
    """Give a process's role its password."""
    connection.execute(
        sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(password))
    )
