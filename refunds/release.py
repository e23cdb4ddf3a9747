"""A release: a version of everything that shapes behaviour, and how far it has come."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refunds.vocabulary import ReleaseState


@dataclass(frozen=True, slots=True)
class ReleaseStage:
    """Where a release stands."""

    release: str
    state: ReleaseState
    percent: int
    """Of customers, while it is a canary."""

    tenants: tuple[str, ...]
    """Tenants that a canary takes whole."""

    place: int
    """The order in which steps were made, over all releases."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "ReleaseStage":
        """The stage in a row of the books."""
        return cls(row["release"], row["state"], row["percent"], tuple(row["tenants"]), row["place"])
