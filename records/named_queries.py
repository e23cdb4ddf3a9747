"""The named queries: every statement the program can send, as files of SQL have them."""

import re
from functools import cache
from pathlib import Path
from typing import LiteralString


@cache
def named_queries() -> dict[str, LiteralString]:
    """Every statement the program can send, by name."""
    queries: dict[str, LiteralString] = {}
    for file in sorted((Path(__file__).parent / "sql/queries").glob("*.sql")):
        parts = re.split(r"^-- (\w+) --\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            if name in queries:
                raise ValueError(f"two queries are called {name}")
            queries[name] = text.strip()
    # `{name}` in a statement stands for a part of that name, which several have in common.
    return {
        name: re.sub(r"\{(\w+)\}", lambda part: queries[part.group(1)].split("\n", 1)[1], text)
        for name, text in queries.items()
        if not name.startswith("part_")
    }


_UNSET = re.compile(r"\)s(::\w+(\[\])?)? is null or ")


@cache
def planned_once(query: str) -> bool | None:
    """False where a query has filters that may be unset: one plan for all of their values is a bad one for most.

    As `prepare` of psycopg takes it: None leaves it to the number of times that it was sent.
    """
    return False if _UNSET.search(named_queries()[query]) else None
