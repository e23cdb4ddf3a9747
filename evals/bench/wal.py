"""What a ticket costs the disk: commits, record bytes without page images, by the schema that they belong to."""

import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

_RECORD = re.compile(r"^rmgr: (\S+)\s+len \(rec/tot\):\s*(\d+)/\s*\d+, tx:\s*(\d+), .*?desc: (\S+)(.*)$")
_RELATION = re.compile(r"rel \d+/(\d+)/(\d+)")
_RELATIONS = """
select c.relfilenode::text, coalesce(nullif(n.nspname, 'pg_toast'), (
  select m.nspname from pg_class o join pg_namespace m on m.oid = o.relnamespace where o.reltoastrelid = c.oid
    or o.oid in (select i.indrelid from pg_index i where i.indexrelid = c.oid)), 'pg_toast')
from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relfilenode <> 0
"""


@dataclass(frozen=True, slots=True)
class LogWritten:
    """What was written between two places of the log."""

    commits: int
    record_bytes: int
    """Of all records of this database, page images left out."""

    by_schema: dict[str, int] = field(default_factory=dict)


def place(connection: psycopg.Connection[Any]) -> str:
    """Where the log ends now."""
    row = connection.execute("select pg_current_wal_insert_lsn()::text").fetchone()
    return row[0] if row else "0/0"


def log_written(
    connection: psycopg.Connection[Any], waldump: Path, data: Path, start: str, end: str
) -> LogWritten:
    """What stands in the log from one place to another."""
    database = connection.execute(
        "select oid::text from pg_database where datname = current_database()"
    ).fetchone()
    schemas = {str(row[0]): str(row[1]) for row in connection.execute(_RELATIONS).fetchall()}
    out = subprocess.run(
        [str(waldump), "-p", str(data / "pg_wal"), "-s", start, "-e", end],
        capture_output=True, text=True, check=True, env={"LC_ALL": "C"},
    ).stdout  # fmt: skip
    commits, total, by_schema = 0, 0, Counter[str]()
    ours: set[str] = set()
    for line in out.splitlines():
        match = _RECORD.match(line)
        if match is None:
            continue
        manager, size, transaction, desc, rest = match[1], int(match[2]), match[3], match[4], match[5]
        relation = _RELATION.search(rest)
        if relation and database and relation[1] != database[0]:
            continue
        if relation:
            schema = schemas.get(relation[2], "other")
            if schema in {"pg_catalog", "other"}:
                continue  # the server's own upkeep, which comes when it likes
            by_schema[schema] += size
            ours.add(transaction)
        elif transaction not in ours:
            continue
        commits += manager == "Transaction" and desc == "COMMIT"
        total += size
    return LogWritten(commits, total, dict(by_schema))
