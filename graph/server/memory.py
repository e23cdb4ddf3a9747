"""The server's own memory stays in memory. Its command line forgets to pass `disable_persistence` on, and would write
threads and runs, customers' words among them, into pickles that the next start loads.
"""

from contextlib import suppress
from pathlib import Path

from langgraph_runtime_inmem import _persistence, checkpoint, database


def keep_off_disk() -> None:
    """Nothing is written from now on, what was written is removed, and what was loaded from it is forgotten."""
    _persistence.DISABLE_FILE_PERSISTENCE = True
    checkpoint.DISABLE_FILE_PERSISTENCE = True
    _persistence.stop_flush_loop()
    for reference in _persistence._stores.values():
        kept = reference()
        if kept is not None:
            kept.flag = "r"  # read-only: its own close() writes nothing then
    for file in Path(database.OPS_FILENAME).parent.glob("*.pckl*"):
        with suppress(FileNotFoundError):
            file.unlink()
    for rows in ("threads", "runs", "crons"):
        database.GLOBAL_STORE[rows].clear()
