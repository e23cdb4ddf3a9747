"""The policy library in the books: documents in force, the words they are found by, the rules they state."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from psycopg.types.json import Jsonb

from records.books import Reads, Refused, Row, Transaction
from refunds.evidence import Citation, citation_id
from refunds.ids import PersonId, TenantId
from refunds.vocabulary import ReviewVerdict

NEAREST = 8


@dataclass(frozen=True, slots=True)
class ShelvedClause:
    """A clause in force and the stems it is found by: of its title, of its words, of each way to ask for it."""

    citation: Citation
    phrases: tuple[frozenset[str], ...]


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


async def clauses_in_force(reads: Reads, region: str, on_date: date) -> list[ShelvedClause]:
    """Every clause that is approved and in force for the day and the region."""
    rows = await reads.rows("shelf", region=region, on_date=on_date)
    return [
        ShelvedClause(_citation(row), tuple(frozenset(phrase) for phrase in row["phrases"])) for row in rows
    ]


async def nearest_clauses(
    reads: Reads, model: str, vector: Sequence[float], region: str, on_date: date
) -> list[Row]:
    """The clauses in force by how near they are in meaning, the nearest first."""
    return await reads.rows(
        "nearest_clauses", model=model, vector=list(vector), region=region, on_date=on_date, most=NEAREST
    )


async def is_read(reads: Reads, model: str, document_id: str, version: int, clause: str) -> bool:
    """Whether an embedding model has read a clause."""
    row = await reads.row(
        "vector_there", model=model, document_id=document_id, version=version, clause=clause
    )
    return row is not None


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
