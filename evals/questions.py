"""450 questions to the policy library: half can be answered from it, in other words than its own; half cannot.

A citation of any clause that does not answer is wrong, and so is every citation where nothing answers. The
tuning and the test questions shaped the ranking; the unseen ones were written apart from it and asked at the end
(docs/evidence.md).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, get_args

from app.house import database_of_its_own, prepare
from app.shop import DEMO, import_corpus
from policies.documents import read_corpus
from policies.manifest import DEMO_CORPUS
from records.books import Books
from refunds.evidence import Grounded
from refunds.ids import TenantId
from runtime.home import Home
from tools.get_policy_evidence import get_policy_evidence

QUESTIONS = Path(__file__).parent / "questions.jsonl"
RIVAL = TenantId("rival")
DATABASE = "countersign_questions_"

Half = Literal["tuning", "test", "unseen"]


@dataclass(frozen=True, slots=True)
class ExamQuestion:
    """One question, from where and when it is asked, and the clauses of which any answers it."""

    id: str
    half: Half
    kind: str
    """`answerable`, or why not: `unanswerable`, `region`, `date`, `adversarial`."""

    question: str
    region: str
    on: date
    expects: frozenset[str]
    """As `late-delivery-v2:1`; empty where nothing answers."""


@dataclass(frozen=True, slots=True)
class CitedFor:
    """What the library cited for a question, the best first."""

    question: ExamQuestion
    cited: tuple[str, ...]

    @property
    def wrong(self) -> tuple[str, ...]:
        """Cited and no answer."""
        return tuple(name for name in self.cited if name not in self.question.expects)

    def to_json(self) -> dict[str, object]:
        asked = self.question
        return {
            "id": asked.id,
            "half": asked.half,
            "kind": asked.kind,
            "question": asked.question,
            "expects": sorted(asked.expects),
            "cited": list(self.cited),
            "wrong": list(self.wrong),
        }


def read_questions(file: Path = QUESTIONS) -> list[ExamQuestion]:
    """Every question of the file."""
    rows = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())
    return [
        ExamQuestion(
            row["id"],
            row["half"],
            row["kind"],
            row["question"],
            row["region"],
            date.fromisoformat(row["on"]),
            frozenset(row["expects"]),
        )
        for row in rows
    ]


async def ask_all(
    home: Home, questions: list[ExamQuestion], said: Callable[[int, int], None]
) -> list[CitedFor]:
    """Each question to a library of its own, with another tenant's beside it."""
    with database_of_its_own(home, DATABASE) as (url, _):
        await prepare(home, url)
        async with Books.open(url, size=1) as owner, owner.transaction(RIVAL) as tx:
            await tx.rows("insert_tenant", tenant=RIVAL, name="Rival shop")
            await import_corpus(tx, RIVAL, read_corpus(DEMO_CORPUS.parent / "rival"))
        async with Books.open(home.role_url("graph", url), size=1) as books:
            page_of = books.reading(DEMO)
            found: list[CitedFor] = []
            for number, question in enumerate(questions, start=1):
                evidence = await get_policy_evidence(
                    page_of, DEMO, question.question, question.region, question.on
                )
                cited = evidence.citations if isinstance(evidence, Grounded) else ()
                names = tuple(f"{citation.citation_id}:{citation.clause}" for citation in cited)
                found.append(CitedFor(question, names))
                said(number, len(questions))
            return found


def sums(asked: list[CitedFor]) -> list[dict[str, object]]:
    """A row for each half and kind: how many were asked, answered, left open, and cited wrongly."""
    rows: list[dict[str, object]] = []
    for half in get_args(Half):
        for kind in ("answerable", "unanswerable", "region", "date", "adversarial"):
            here = [one for one in asked if (one.question.half, one.question.kind) == (half, kind)]
            if here:
                rows.append(
                    {
                        "half": half,
                        "kind": kind,
                        "asked": len(here),
                        "answered": sum(bool(one.cited) and not one.wrong for one in here),
                        "left open": sum(not one.cited for one in here),
                        "wrong citations": sum(len(one.wrong) for one in here),
                    }
                )
    return rows
