"""Drafts of a model around what is decided, good and bad, and whether the checks stop what they should.

Both were written for this project, the bad ones in kinds (a promise on a denial, an amount in words, a question for
secrets, blame, law, another customer, another language). The words of the checks were chosen on the tuning half.
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from policies.free_words import FreeFacts, wrong_around

DRAFTS = Path(__file__).parent / "drafts.jsonl"
PLACES = 2
GOODS = ("Tablet",)

DraftHalf = Literal["tuning", "test"]


@dataclass(frozen=True, slots=True)
class ExamDraft:
    """A letter as a model writes it, with its places, and whether it may go to a person as it is."""

    id: str
    half: DraftHalf
    kind: str
    language: str
    good: bool
    text: str

    @property
    def stopped_for(self) -> str | None:
        """Why the checks stop it; None where they do not."""
        return wrong_around(self.text, FreeFacts(PLACES, self.language, GOODS))

    def to_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "kind": self.kind,
            "good": self.good,
            "text": self.text,
            "stopped": self.stopped_for,
        }


def read_drafts(half: str | None = None) -> list[ExamDraft]:
    """The drafts of a half, or all of them."""
    rows = (json.loads(line) for line in DRAFTS.read_text(encoding="utf-8").splitlines())
    drafts = [ExamDraft(**row) for row in rows]
    return [draft for draft in drafts if half is None or draft.half == half]


def stopped(drafts: list[ExamDraft]) -> list[dict[str, object]]:
    """A row for each half and kind: how many there are and how many are stopped."""
    by: dict[tuple[str, str], list[ExamDraft]] = defaultdict(list)
    for draft in drafts:
        by[draft.half, draft.kind].append(draft)
        if not draft.good:
            by[draft.half, "all bad"].append(draft)
    return [
        {
            "half": half,
            "kind": kind,
            "drafts": len(of),
            "stopped": sum(draft.stopped_for is not None for draft in of),
        }
        for half in get_args(DraftHalf)
        for (in_half, kind), of in sorted(by.items())
        if in_half == half
    ]
