"""The policy library in the books: documents in force, found by words, with the rules they state."""

from dataclasses import dataclass
from datetime import date

from psycopg.types.json import Jsonb

from records.books import Page, Refused, Row
from refunds.evidence import Citation, citation_id
from refunds.ids import TenantId

CANDIDATES = 5
"""More than a reviewer reads, few enough to show all."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A clause in force and how much of the question's weight it covers, 0 to 1."""

    citation: Citation
    coverage: float


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


async def find_evidence(page: Page, question: str, region: str, on_date: date) -> list[Candidate]:
    """The best clauses that are approved and in force for the day and the region, the best first."""
    searchable = question.replace("\x00", " ").encode("utf-8", "replace").decode("utf-8")
    rows = await page.rows(
        "find_evidence", question=searchable, region=region, on_date=on_date, most=CANDIDATES
    )
    return [
        Candidate(
            _citation(row),
            row["coverage"],
        )
        for row in rows
    ]


async def rules_in_force(page: Page, region: str, on_date: date) -> list[StatedRule]:
    """The refund rules that count for the day and the region."""
    rows = await page.rows("rules_in_force", region=region, on_date=on_date)
    return [
        StatedRule(
            row["rule"],
            _citation(row),
        )
        for row in rows
    ]


async def import_document(
    page: Page,
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
    clauses: list[tuple[str, str]],
    sha256: str,
) -> bool:
    """Write a document version; False where it is there; Refused where it is there with other words."""
    row = await page.row(
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
        there = await page.row("document_sha256", document_id=document_id, version=version)
        if there is None or there["sha256"] != sha256:
            raise Refused(
                "edited_document", f"{document_id} version {version} is in the books: raise its version"
            )
        return False
    for clause, quote in clauses:
        await page.rows(
            "insert_clause",
            tenant=tenant,
            document_id=document_id,
            version=version,
            clause=clause,
            quote=quote,
            title=title,
        )
    return True
