"""Questions to the policy library: most can be answered from it, in other words than its own; the rest cannot.

A citation of any clause that does not answer is wrong, and so is every citation where nothing answers; where nothing
is cited, the clauses that are offered to a person count. Which part shaped what stands in docs/evidence.md.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Literal, assert_never, get_args

from pydantic import SecretStr

from app.house import database_of_its_own, prepare
from app.imports import index_library
from app.shop import DEMO, import_corpus
from evals.policy_reader import NoModel, PolicyReader, policy_reader
from policies.documents import PolicyDocument, read_corpus
from policies.manifest import DEMO_CORPUS
from records.books import Books, Reads
from refunds.evidence import Abstain, Citation, Grounded
from refunds.ids import TenantId
from runtime.home import Home
from runtime.shelf import Sense
from tools.get_policy_evidence import get_policy_evidence

QUESTIONS = Path(__file__).parent / "questions.jsonl"
RIVAL = TenantId("rival")
DATABASE = "countersign_questions_"

Half = Literal["tuning", "test", "unseen", "apart"]
OFFERED = 3
"""Clauses that a person is shown."""


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
    """What the library cited for a question and what it offered, each the best first."""

    question: ExamQuestion
    cited: tuple[str, ...]
    offered: tuple[str, ...] = ()

    @property
    def place(self) -> int | None:
        """Where among what was cited or offered a clause stands that answers, from 1 on."""
        shown = dict.fromkeys((*self.cited, *self.offered))
        return next((at for at, name in enumerate(shown, start=1) if name in self.question.expects), None)

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
            "offered": list(self.offered),
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


@dataclass(frozen=True, slots=True)
class HowAsked:
    """How the questions are asked."""

    ways: bool = True
    """With the ways to ask that stand in the documents, or from the clauses alone."""

    meaning: bool = False
    """With the embedding model that the settings name beside the words."""

    model: bool = False
    """With the model of the manifest that reads the policy (`cite`)."""


async def ask_all(
    home: Home, questions: list[ExamQuestion], said: Callable[[int, int], None], how: HowAsked = HowAsked()
) -> list[CitedFor]:
    """Each question to a library of its own, with another tenant's beside it."""
    with database_of_its_own(home, DATABASE) as (url, _):
        await prepare(home, url)
        async with Books.open(url, size=1) as owner:
            async with owner.transaction(RIVAL) as tx:
                await tx.rows("insert_tenant", tenant=RIVAL, name="Rival shop")
                await import_corpus(tx, RIVAL, read_corpus(DEMO_CORPUS.parent / "rival"))
            if not how.ways:
                async with owner.transaction(DEMO) as tx:
                    await import_corpus(tx, DEMO, tuple(map(_without_ways, read_corpus(DEMO_CORPUS))))
        async with Books.open(home.role_url("graph", url), size=1) as books:
            senses = await _senses(home, url, questions) if how.meaning else [None] * len(questions)
            async with policy_reader(home, url, read=how.model) as reader:
                found: list[CitedFor] = []
                for number, (question, sense) in enumerate(zip(questions, senses, strict=True), start=1):
                    found.append(await _asked(books.reading(DEMO), question, sense, reader))
                    said(number, len(questions))
                return found


async def _asked(
    reads: Reads, question: ExamQuestion, sense: Sense | None, reader: PolicyReader | None
) -> CitedFor:
    evidence = await get_policy_evidence(
        reads, DEMO, question.question, question.region, question.on, sense=sense
    )
    match evidence:
        case Grounded(citations):
            return CitedFor(question, tuple(map(_name, citations)))
        case Abstain(offers):
            names = tuple(_name(offer.citation) for offer in offers)
            answer = (
                await reader.read(question.id, question.question, offers)
                if reader is not None and offers
                else None
            )
            return CitedFor(question, () if answer is None else (_name(answer),), names)
        case _:
            assert_never(evidence)


def _without_ways(document: PolicyDocument) -> PolicyDocument:
    return replace(document, clauses=tuple(replace(clause, asked=()) for clause in document.clauses))


def _name(citation: Citation) -> str:
    return f"{citation.citation_id}:{citation.clause}"


async def _senses(home: Home, url: str, questions: list[ExamQuestion]) -> list[Sense | None]:
    """What the questions mean to the embedding model of the settings, after it has read the library."""
    from graph.model.models import embedding_of  # noqa: PLC0415  (loads a model library)
    from graph.settings import GraphSettings  # noqa: PLC0415  (as above)
    from policies.manifest import manifest  # noqa: PLC0415  (as above)

    settings = GraphSettings(database_url=SecretStr(url), intake_keys=home.public_keys_file("intake"))
    if settings.embedding_model is None:
        raise NoModel("GRAPH_EMBEDDING_MODEL is not set: docs/models.md says how one is plugged in")
    await index_library(url, DEMO, settings, lambda _done, _of: None)
    async with Books.open(url, size=1) as owner:
        model = embedding_of(settings, settings.embedding_model, manifest(settings.manifest), owner)
        try:
            vectors, _ = await model.vectors([question.question for question in questions], asked=True)
        finally:
            await model.close()
    return [Sense(model.model, tuple(vector)) for vector in vectors]


def sums(asked: list[CitedFor]) -> list[dict[str, object]]:
    """A row for each part and kind: how many were asked, answered, offered among three, and cited wrongly."""
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
                        "first": sum(one.place == 1 for one in here),
                        "among three": sum(one.place is not None and one.place <= OFFERED for one in here),
                        "among eight": sum(one.place is not None for one in here),
                    }
                )
    return rows
