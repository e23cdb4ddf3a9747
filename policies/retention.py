"""Retention: for how many days each kind of memory is kept. Policy data, swept by a job of the desk."""

import json
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

RETENTION = Path(__file__).parent / "retention.json"

Days = Annotated[int, Field(ge=1, le=3_650)]


class Retention(BaseModel):
    """Days by kind; receipts, decisions and the audit chain are no memory and are kept as bookkeeping wants."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    language: Days
    refund_method: Days
    accessibility: Days
    note: Days
    conversation_summary: Days

    def days(self, kind: str) -> int:
        """The days of a kind. Raises KeyError where there is none such."""
        found: dict[str, int] = self.model_dump()
        return found[kind]


@cache
def retention(file: Path = RETENTION) -> Retention:
    """What the shop keeps, and for how long. Raises ValueError where the file is not of the form."""
    return Retention.model_validate(json.loads(file.read_text(encoding="utf-8")))
