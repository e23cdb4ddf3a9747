"""The connection string of every connection: what changes how a value is read or a statement behaves is ours.

A database and a role can carry settings of their own (`alter database … set`), and what a client says at connect counts
before them. So nothing here is left to whoever runs the server.
"""

from psycopg.conninfo import make_conninfo

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 30
"""No statement of the house takes a second; one that takes thirty holds somebody's lock."""

LOCK_SECONDS = 15

MANNERS: dict[str, str] = {
    # How values are written and read.
    "client_encoding": "UTF8",
    "DateStyle": "ISO,YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "array_nulls": "on",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    # How statements are read.
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "transform_null_equals": "off",
    "default_text_search_config": "pg_catalog.english",
    "gin_fuzzy_search_limit": "0",
    # What a transaction is, who runs it, and which rows it sees.
    "default_transaction_isolation": "read\\ committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "synchronous_commit": "on",
    "row_security": "on",
    "role": "none",
    # How long anything may take.
    "lock_timeout": f"{LOCK_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{STATEMENT_SECONDS}s",
    "idle_session_timeout": "0",
}
"""Settings that every Postgres since 14 knows, as they are said at connect."""


def connection_string(
    url: str, *, search_path: str = "books,jobs", statement_seconds: int = STATEMENT_SECONDS
) -> str:
    """The URL with the house's limits, manners and search path."""
    said = {**MANNERS, "search_path": search_path, "statement_timeout": f"{statement_seconds}s"}
    return make_conninfo(
        url,
        connect_timeout=CONNECT_SECONDS,
        options=" ".join(f"-c {name}={value}" for name, value in said.items()),
    )
