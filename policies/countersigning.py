"""Countersigning together: which proposals of one rule a person may approve in one go, and which are read alone.

The numbers stand in `countersigning.json`. A currency that is not listed there has no limit below which it is allowed.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from refunds.money import Money
from refunds.proposal import Proposal

FILE = Path(__file__).with_name("countersigning.json")


class Countersigning(BaseModel):
    """The limits."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    limit_minor: Mapping[
        Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")], Annotated[int, Field(gt=0)]
    ]
    """Below what amount, in minor units of each currency."""

    most: Annotated[int, Field(ge=2, le=200)]
    """Proposals in one go."""

    asked_alone_one_in: Annotated[int, Field(ge=1, le=200)]
    """Of so many one is read alone, and at least one in each go."""

    def may_be_together(self, proposal: Proposal) -> bool:
        """Whether a proposal may be approved beside others: of a rule, and below the limit of its currency."""
        if not proposal.rule or proposal.kind == "handoff":
            return False
        return proposal.kind == "reply" or self.is_below(proposal.amount)

    def is_below(self, amount: Money) -> bool:
        limit = self.limit_minor.get(amount.currency)
        return limit is not None and amount.amount_minor < limit

    def asked_alone(self, digests: Sequence[str]) -> frozenset[str]:
        """Those of some digests that are read one by one. Who approves cannot choose them: the digests do."""
        drawn = {digest for digest in digests if int(digest[:8], 16) % self.asked_alone_one_in == 0}
        return frozenset(drawn or set(sorted(digests)[:1]))


@cache
def countersigning(file: Path = FILE) -> Countersigning:
    """The limits of a file. ValueError where it is none."""
    return Countersigning.model_validate(json.loads(file.read_text(encoding="utf-8")))
