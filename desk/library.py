"""The policy library at the desk: who may see it, and whose yes makes a document count."""

import re
from datetime import UTC, date, datetime

from desk.catalogue import _
from desk.decisions import Conflict, NothingToDecide
from desk.notes import BadDecision, check_note
from desk.people import NoAuthority, Person
from policies.manifest import Manifest
from records.books import Books, Refused, Row
from records.library import counts, library_of, review
from refunds.ids import TenantId
from refunds.vocabulary import ReviewVerdict

NOTE_LIMIT = 500
FOUND = 50
"""Clauses that a search lists."""


async def listed_documents(books: Books, person: Person, tenant: TenantId) -> list[Row]:
    """Every version of a tenant's documents, and whether it counts."""
    person.may_see(tenant)
    return [dict(row) | {"counts": counts(row)} for row in await library_of(books.reading(tenant))]


async def documents_waiting(books: Books, person: Person, tenant: TenantId) -> list[Row]:
    """The versions that wait for a person's word, with their clauses to read."""
    person.may_see(tenant)
    reads = books.reading(tenant)
    found = [row for row in await library_of(reads) if row["status"] == "approved" and not counts(row)]
    return [
        dict(row)
        | {
            "quotes": await reads.rows(
                "clauses_of_document", document_id=row["document_id"], version=row["version"]
            )
        }
        for row in found
        if row["verdict"] != "reject"
    ]


async def review_document(
    books: Books,
    person: Person,
    tenant: TenantId,
    document_id: str,
    version: int,
    *,
    sha256: str,
    verdict: ReviewVerdict,
    note: str = "",
) -> None:
    """A specialist's word on the words that were shown. Raises NoAuthority, BadDecision, NothingToDecide, Conflict."""
    person.may_see(tenant)
    check_note(note)
    check_note(document_id, "document")
    if len(note) > NOTE_LIMIT:
        raise BadDecision(_("note: at most %(most)s characters", most=NOTE_LIMIT))
    if verdict == "reject" and not note.strip():
        raise BadDecision(_("note: say what is wrong with it"))
    if not re.fullmatch(r"[0-9a-f]{64}", sha256) or not 0 < version < 2**31:
        raise Conflict(_("name the words that were shown: they are not these any more"))
    async with books.transaction(tenant) as tx:
        there = await library_of(tx, document_id, version)
        if not there:
            raise NothingToDecide(
                _(
                    "no document %(document)s version %(version)s for %(tenant)s",
                    document=document_id,
                    version=version,
                    tenant=tenant,
                )
            )
        try:
            await review(tx, document_id, version, sha256, verdict, person.person, note)
        except Refused as refused:
            if refused.reason == "no_authority":
                raise NoAuthority(
                    _("%(person)s: %(refused)s", person=person.person, refused=refused.detail)
                ) from None
            if refused.reason == "stale_review":
                raise Conflict(
                    _(
                        "%(document)s version %(version)s: %(refused)s",
                        document=document_id,
                        version=version,
                        refused=refused.detail,
                    )
                ) from None
            raise


async def clauses_found(books: Books, person: Person, tenant: TenantId, asked: str) -> list[Row]:
    """Clauses of every version that hold the words, and whether each is in force today."""
    person.may_see(tenant)
    reads = books.reading(tenant)
    today = datetime.now(UTC).date()
    counting = {
        (row["document_id"], row["version"]) for row in await library_of(reads) if in_force(row, today)
    }
    rows = await reads.rows("policy_found", asked=asked, most=FOUND)
    return [dict(row) | {"counts": (row["document_id"], row["version"]) in counting} for row in rows]


async def document_shown(
    books: Books, person: Person, tenant: TenantId, document_id: str, version: int
) -> Row:
    """One version with its clauses, and the other versions of it. NothingToDecide where there is none."""
    person.may_see(tenant)
    check_note(document_id, "document")
    reads = books.reading(tenant)
    there = await library_of(reads, document_id)
    one = next((row for row in there if row["version"] == version), None)
    if one is None:
        raise NothingToDecide(
            _(
                "no document %(document)s version %(version)s for %(tenant)s",
                document=document_id,
                version=version,
                tenant=tenant,
            )
        )
    quotes = await reads.rows("clauses_of_document", document_id=document_id, version=version)
    today = datetime.now(UTC).date()
    return dict(one) | {
        "in_force": in_force(one, today),
        "quotes": quotes,
        "versions": [dict(row) | {"in_force": in_force(row, today)} for row in there],
    }


def in_force(row: Row, today: date) -> bool:
    """Whether a version is approved and its days have begun and not ended."""
    ends = row["expires_on"]
    return bool(counts(row)) and row["effective_on"] <= today and (ends is None or today < ends)


async def corpus_in_force(books: Books, person: Person, tenant: TenantId, manifest: Manifest) -> Row:
    """Which corpus a library holds, whether it is the manifest's, and what waits for a person."""
    person.may_see(tenant)
    reads = books.reading(tenant)
    last = await reads.row("last_policy_import")
    rows = await library_of(reads)
    return {
        "tenant": tenant,
        "corpus_sha256": last["corpus_sha256"] if last else None,
        "imported_at": last["at"] if last else None,
        "manifest_sha256": manifest.corpus.sha256,
        "is_the_manifests": bool(last and last["corpus_sha256"] == manifest.corpus.sha256),
        "versions": len(rows),
        "count": sum(counts(row) for row in rows),
        "wait": sum(
            row["status"] == "approved" and not counts(row) and row["verdict"] != "reject" for row in rows
        ),
    }
