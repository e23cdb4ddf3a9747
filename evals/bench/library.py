"""A library of 20,000 clauses: what a question takes, the first one after an import too, and whether the loop stops.

    $ python -m evals.bench.library

The clauses are the demo shop's, with words of the others mixed in by seed, so that their words are as common as in
real ones; the vectors are random, and as long as those of a small model.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from statistics import quantiles

from app.house import database_of_its_own, prepare
from app.shop import DEMO, import_corpus
from evals.questions import read_questions
from policies.documents import Clause, PolicyDocument, read_corpus
from policies.manifest import DEMO_CORPUS
from records.books import Books
from records.library import review
from refunds.ids import PersonId
from runtime.home import Home
from runtime.process import keep_what_was_loaded
from runtime.shelf import Sense
from tools.get_policy_evidence import get_policy_evidence

DOCUMENTS, EACH = 1_000, 20
LENGTH = 384
ON = date(2026, 11, 1)
BEAT_SECONDS = 0.001


def long_library(seed: int = 1) -> tuple[PolicyDocument, ...]:
    """20,000 clauses of the demo's words."""
    rng = random.Random(seed)  # noqa: S311  (a bench draws lots)
    demo = [document for document in read_corpus(DEMO_CORPUS) if document.status == "approved"]
    quotes = [clause.quote for document in demo for clause in document.clauses]
    words = [word for quote in quotes for word in quote.split()]

    def clause(number: int) -> Clause:
        own = rng.choice(quotes).split()
        mixed = [word if rng.random() < 0.6 else rng.choice(words) for word in own]
        return Clause(str(number), " ".join((*mixed, f"ref{rng.randrange(10**6)}")))

    return tuple(
        replace(
            rng.choice(demo),
            document_id=f"bench-{number}", version=1, region="*", effective_on=date(2020, 1, 1), expires_on=None,
            rules=(), clauses=tuple(clause(at) for at in range(1, EACH + 1)), sha256=f"{number:064x}",
        )
        for number in range(DOCUMENTS)
    )  # fmt: skip


async def longest_stop(work: Callable[[], Awaitable[object]]) -> float:
    """The longest time in seconds for which the loop did nothing else while work was done."""
    longest, ended = 0.0, False

    async def beat() -> None:
        nonlocal longest
        before = time.perf_counter()
        while not ended:
            await asyncio.sleep(BEAT_SECONDS)
            now = time.perf_counter()
            longest, before = max(longest, now - before - BEAT_SECONDS), now

    beating = asyncio.create_task(beat())
    try:
        await work()
    finally:
        ended = True
        await beating
    return longest


async def measured() -> dict[str, object]:
    home, documents = Home.of_environment(os.environ), long_library()
    with database_of_its_own(home, "countersign_library_") as (url, _):
        await prepare(home, url)
        async with Books.open(url, size=1) as owner, owner.transaction(DEMO) as tx:
            await import_corpus(tx, DEMO, documents)
            for one in documents:
                await review(tx, one.document_id, 1, one.sha256, "approve", PersonId("demo-specialist"))
            rng = random.Random(2)  # noqa: S311  (as above)
            for one in documents:
                for clause in one.clauses:
                    tx.later(
                        "insert_vector", document_id=one.document_id, version=1, clause=clause.number, phrase=1,
                        model="bench", vector=[rng.gauss(0, 1) for _ in range(LENGTH)],
                    )  # fmt: skip
        # In a process of its own, as the agent's is: what wrote the library leaves a heap behind that stops the loop.
        asking = (sys.executable, "-m", "evals.bench.library", home.role_url("graph", url))
        process = await asyncio.create_subprocess_exec(*asking, stdout=asyncio.subprocess.PIPE)
        said, _ = await process.communicate()
        figures: dict[str, object] = json.loads(said)
        return figures


async def asked_there(url: str) -> dict[str, object]:
    """The questions asked of a library that is there, as the agent's role."""
    keep_what_was_loaded()
    async with Books.open(url, size=2) as books:
        return await _asked(books)


async def _asked(books: Books) -> dict[str, object]:
    rng = random.Random(3)  # noqa: S311  (as above)
    short = [question.question for question in read_questions() if question.expects]
    long = [" ".join(rng.sample(short, 25))[:2_000] for _ in range(60)]
    reads, took, stops = books.reading(DEMO), dict[str, list[float]](), list[float]()

    async def ask(kind: str, question: str) -> None:
        sense = Sense("bench", tuple(rng.gauss(0, 1) for _ in range(LENGTH)))
        began = time.perf_counter()
        await get_policy_evidence(reads, DEMO, question, "US", ON, sense=sense)
        took.setdefault(kind, []).append(time.perf_counter() - began)

    stops.append(await longest_stop(lambda: ask("first", short[0])))
    for kind, questions in (("short", short), ("long", long)):
        for question in questions:
            stops.append(await longest_stop(lambda: ask(kind, question)))  # noqa: B023  (awaited here and now)
    figures: dict[str, object] = {"clauses": DOCUMENTS * EACH, "first_ms": round(took["first"][0] * 1000)}
    for kind in ("short", "long"):
        cut = quantiles(took[kind], n=100)
        figures |= {f"{kind}_p50_ms": round(cut[49] * 1000, 1), f"{kind}_p95_ms": round(cut[94] * 1000, 1)}
    stops_at_first, others = stops[0], stops[1:]
    figures |= {
        "loop_stopped_at_first_ms": round(stops_at_first * 1000, 1),
        "loop_stopped_ms": round(max(others) * 1000, 1),
    }
    return figures


if __name__ == "__main__":
    work = asked_there(sys.argv[1]) if sys.argv[1:] else measured()
    sys.stdout.write(json.dumps(asyncio.run(work)) + "\n")
