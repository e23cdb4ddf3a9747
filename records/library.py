"""The policy library in the books: documents in force, the words they are found by, the rules they state."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date

from psycopg.types.json import Jsonb

from records.books import Reads, Refused, Row, Transaction
from refunds.evidence import Citation, citation_id
from refunds.ids import PersonId, TenantId
from refunds.vocabulary import ReviewVerdict

CLAUSES_A_PAGE = 1_000
VECTORS_A_PAGE = 250
"""What is read at a time of a library: a page of it stops nothing for long."""


@dataclass(frozen=True, slots=True)
class FindableClause:
    """A clause that may be approved, with the stems it is found by as JSON: of its title, its words, each way."""

    document_id: str
    version: int
    clause: str
    phrases: str


@dataclass(frozen=True, slots=True)
class NamedClause:
    """A clause word for word, with the stems it is found by: of what stands above it, its words, each way to ask."""

    citation: Citation
    title: frozenset[str]
    phrases: tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True)
class PhraseVectors:
    """What a model made of phrases: whose each is, and the vectors one after the other as Postgres sends arrays."""

    clauses: Sequence[tuple[str, int, str]]
    vectors: bytes


@dataclass(frozen=True, slots=True)
class StatedRule:
    """A rule in the header of a document in force, with the clause it cites."""

    parameters: dict[str, object]
    citation: Citation


def _citation(row: Row) -> Citation:
    return Citation(
        citation_id(row["document_id"], row["version"]),
        row["document_id"],
        row["version"],
        row["clause"],
        row["quote"],
    )


async def words_of(reads: Reads, question: str) -> tuple[frozenset[str], str]:
    """The stems of a question, and the edition of the library: another one wherever it has grown."""
    storable = question.replace("\x00", " ").encode("utf-8", "replace").decode("utf-8")
    row = await reads.row("words_of", question=storable)
    if row is None:
        raise LookupError("no words")
    return frozenset(row["words"]), str(row["edition"])


async def clauses_to_find(reads: Reads) -> AsyncIterator[list[FindableClause]]:
    """Every clause of an approved document, whatever its day and region, a page at a time."""
    after: tuple[str, int, str] = ("", 0, "")
    while True:
        row = await reads.row(
            "clauses_to_find",
            after_document=after[0], after_version=after[1], after_clause=after[2], most=CLAUSES_A_PAGE,
        )  # fmt: skip
        if row is None or row["documents"] is None:
            return
        after = (row["documents"][-1], row["versions"][-1], row["clauses"][-1])
        columns = (row[name] for name in ("documents", "versions", "clauses", "phrases", "approved"))
        yield [
            FindableClause(document, version, clause, phrases)
            for document, version, clause, phrases, approved in zip(*columns, strict=True)
            if approved
        ]


async def versions_in_force(reads: Reads, region: str, on_date: date) -> list[tuple[str, int]]:
    """The document versions that may be cited for the day and the region."""
    row = await reads.row("in_force", region=region, on_date=on_date)
    if row is None or row["documents"] is None:
        return []
    return list(zip(row["documents"], row["versions"], strict=True))


async def clauses_named(reads: Reads, names: Sequence[tuple[str, int, str]]) -> list[NamedClause]:
    """These clauses word for word, in their order."""
    if not names:
        return []
    documents, versions, clauses = (list(part) for part in zip(*names, strict=True))
    rows = await reads.rows("clauses_named", documents=documents, versions=versions, clauses=clauses)
    found = []
    for row in rows:
        title, *phrases = (frozenset(stems or ()) for stems in row["phrases"])
        found.append(NamedClause(_citation(row), title, tuple(phrases)))
    return found


async def vectors_to_find(reads: Reads, model: str, length: int) -> AsyncIterator[PhraseVectors]:
    """What a model made of the phrases of a library, vectors of a length alone, a page at a time."""
    after: tuple[str, int, str, int] = ("", 0, "", 0)
    while True:
        row = await reads.row(
            "vectors_to_find",
            model=model, length=length, after_document=after[0], after_version=after[1], after_clause=after[2],
            after_phrase=after[3], most=VECTORS_A_PAGE,
        )  # fmt: skip
        if row is None or row["documents"] is None:
            return
        after = (row["documents"][-1], row["versions"][-1], row["clauses"][-1], row["phrases"][-1])
        names = list(zip(row["documents"], row["versions"], row["clauses"], strict=True))
        yield PhraseVectors(names, bytes(row["vectors"]))


async def rules_in_force(reads: Reads, region: str, on_date: date) -> list[StatedRule]:
    """The refund rules that count for the day and the region."""
    rows = await reads.rows("rules_in_force", region=region, on_date=on_date)
    return [
        StatedRule(
            row["rule"],
            _citation(row),
        )
        for row in rows
    ]


async def note_import(tx: Transaction, corpus_sha256: str, documents: int) -> None:
    """Write down which corpus was imported, where it is another than the last time."""
    tx.later("insert_policy_import", corpus_sha256=corpus_sha256, documents=documents)


async def review(
    tx: Transaction,
    document_id: str,
    version: int,
    sha256: str,
    verdict: ReviewVerdict,
    person: PersonId,
    note: str = "",
) -> None:
    """A named person's yes or no to the words of a document version. Refused where they may not say it."""
    await tx.rows(
        "insert_policy_review",
        document_id=document_id,
        version=version,
        sha256=sha256,
        verdict=verdict,
        person=person,
        note=note,
    )


async def library_of(reads: Reads, document_id: str | None = None, version: int | None = None) -> list[Row]:
    """Every document version of the tenant with what a person said of it; or one document's."""
    return await reads.rows("library_listed", document_id=document_id, version=version)


def counts(row: Row) -> bool:
    """Whether a listed version may be cited on its days."""
    return row["status"] == "approved" and row["verdict"] == "approve" and bool(row["of_these_words"])


async def import_document(
    tx: Transaction,
    tenant: TenantId,
    *,
    document_id: str,
    version: int,
    title: str,
    region: str,
    status: str,
    effective_on: date,
    expires_on: date | None,
    rules: list[dict[str, object]],
    clauses: list[tuple[str, str, list[str]]],
    sha256: str,
) -> bool:
    """Write a document version; False where it is there; Refused where it is there with other words.

    A clause is its number, its quote and the phrases that it is found by, its title first.
    """
    row = await tx.row(
        "insert_document",
        tenant=tenant,
        document_id=document_id,
        version=version,
        title=title,
        region=region,
        status=status,
        effective_on=effective_on,
        expires_on=expires_on,
        rules=Jsonb(rules),
        sha256=sha256,
    )
    if row is None:
        there = await tx.row("document_sha256", document_id=document_id, version=version)
        if there is None or there["sha256"] != sha256:
            raise Refused(
                "edited_document", f"{document_id} version {version} is in the books: raise its version"
            )
        for clause, _, phrases in clauses:
            tx.later("index_clause", document_id=document_id, version=version, clause=clause, phrases=phrases)
        return False
    for clause, quote, phrases in clauses:
        await tx.rows(
            "insert_clause",
            tenant=tenant,
            document_id=document_id,
            version=version,
            clause=clause,
            quote=quote,
            phrases=phrases,
        )
    return True
