"""A home that is ready, made once and copied: what a fresh one costs in initdb, migrations and a shop is paid once a run.

A law that is about a fresh home makes its own.
"""

import asyncio
import fcntl
import shutil
import subprocess
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher

import desk.passwords
from app.house import prepare
from runtime.embedded import EmbeddedPostgres
from runtime.home import Home

ROOTS: list[Path] = []
"""Where the prepared home of this run lies; the fixture of the session says it."""

LEFT_BEHIND = ("postgres.port", "postgres.lock")


@cache
def cheap_hasher() -> PasswordHasher:
    """argon2id that costs next to nothing: what a password costs is the subject of its own laws alone."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def cheapen_passwords() -> None:
    """From here on this process hashes cheaply. What is stored says how it was hashed."""
    desk.passwords.hasher = cheap_hasher


def prepared_home() -> Path:
    """The home that all are copied from, its server stopped; made by whoever comes first."""
    [root] = ROOTS
    folder = root / "prepared"
    with (root / "prepared.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o755)
            home = Home(folder)
            asyncio.run(prepare(home, home.admin_url(), page=True))
            home.session_secret()
            EmbeddedPostgres(folder).stop()
            (folder / "ready").touch()
    return folder


def copy_home(folder: Path) -> None:
    """A ready home at a place where none is."""
    source = prepared_home()
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", f"{source}/.", str(folder)], check=True)
    for name in (*LEFT_BEHIND, "ready"):
        (folder / name).unlink(missing_ok=True)
    (folder / "postgres.folder").write_text(f"{folder.resolve() / 'postgres'}\n", encoding="utf-8")
