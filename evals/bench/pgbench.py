"""The floor: pgbench with two commits a ticket on the same Postgres, and no program around them."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg

from evals.bench.blocks import Block

SCRIPT = "insert into floor_paused default values;\ninsert into floor_ordered default values;\n"
TABLES = (
    "create table floor_paused (id bigserial primary key, at timestamptz not null default now())",
    "create table floor_ordered (id bigserial primary key, at timestamptz not null default now())",
)


@dataclass
class Floor:
    """Runs pgbench; it counts rows afterwards, because a script that fails quietly is quick."""

    url: str
    program: Path
    script: Path
    name: str = "E (pgbench)"
    done: int = 0

    def prepare(self) -> None:
        """Its two tables and its script."""
        self.script.write_text(SCRIPT, encoding="utf-8")
        with psycopg.connect(self.url, autocommit=True) as connection:
            for table in TABLES:
                connection.execute(table.encode())

    async def block(self, round_number: int, tickets: int, concurrency: int) -> Block:
        del round_number
        parts, each = urlsplit(self.url), max(1, tickets // concurrency)
        command = [
            str(self.program), "-n", "-c", str(concurrency), "-j", "1", "-t", str(each), "-f", str(self.script),
            "-h", str(parts.hostname), "-p", str(parts.port), "-U", str(parts.username), parts.path.lstrip("/"),
        ]  # fmt: skip
        begun = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *command,
            env={"PGPASSWORD": unquote(parts.password or ""), "PATH": os.environ["PATH"]},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        seconds = time.perf_counter() - begun
        said = [line for line in out.decode().splitlines() if line.startswith("tps = ")]
        self.done += each * concurrency
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute("select count(*) from floor_ordered").fetchone()
        if process.returncode != 0 or not said or row != (self.done,):
            raise RuntimeError(f"pgbench did not do its {self.done} tickets: {out.decode()[-500:]}")
        # Its own figure leaves out how long it takes to connect, as the pools of the others do.
        per_second = float(said[0].split()[2])
        return Block(each * concurrency, min(seconds, each * concurrency / per_second), 0.0)
