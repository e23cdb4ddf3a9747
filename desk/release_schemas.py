"""What goes in and out of the routes about releases."""

from typing import Any

from pydantic import BaseModel, Field

from desk.schemas import Strict
from refunds.vocabulary import ReleaseState


class ReasonBody(Strict):
    """Why; it stays in the books."""

    reason: str = Field(min_length=1, max_length=500)


class PromoteBody(ReasonBody):
    """One step up."""

    percent: int = Field(default=0, ge=0, le=50, description="to canary: the share of customers")
    tenants: list[str] = Field(default_factory=list, max_length=100, description="to canary: tenants, whole")
    again: bool = Field(default=False, description="another share for a canary that stays one")


class ReleaseMoved(BaseModel):
    """Where a release stands now, and how many cases are proposed again."""

    release: str
    state: ReleaseState
    proposed_again: int = 0


class ReleaseList(BaseModel):
    """The stages, the steps that were made, and each release by the hour."""

    releases: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    hours: list[dict[str, Any]]


class Shadows(BaseModel):
    """Shadow runs beside what was done."""

    shadows: list[dict[str, Any]]


class Receipts(BaseModel):
    """Receipts with the gate's word on each."""

    receipts: list[dict[str, Any]]
