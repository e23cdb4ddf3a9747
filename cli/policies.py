"""The commands of those who answer for a shop's policy: what waits, whose yes makes it count, and what is found."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.terminal import (
    CommandFailed,
    Json,
    Tenant,
    command,
    group,
    home,
    office,
    person,
    report,
    tell,
    tenant_id,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from records.books import Row

policies_app = group("The policy library.", "countersign policies list --tenant demo")

Document = Annotated[str | None, typer.Argument(metavar="DOCUMENT", help="As return-policy-us.")]
Version = Annotated[int | None, typer.Argument(min=1, metavar="VERSION")]

REVIEWER = "demo-specialist"
"""Who speaks on the embedded books where nobody has to sign in."""


@command(policies_app, "import", "countersign policies import policies/corpus/demo --tenant demo")
async def policies_import(
    source: Annotated[
        Path, typer.Argument(metavar="DIR|FILE", help="Markdown documents, or clauses as JSONL.")
    ],
    tenant: Tenant,
    rules: Annotated[Path | None, typer.Option(help="Rules for clauses of JSONL, as JSONL.")] = None,
    version: Annotated[int, typer.Option(min=1, help="Of clauses as JSONL.")] = 1,
    as_json: Json = False,
) -> None:
    """Policy documents with their rules into a tenant's library; safe to repeat. None counts before it is approved."""
    from app.house import books_of_owner
    from app.imports import import_library
    from app.shop import is_open, staff
    from policies.clause_lines import Edition
    from records.books import Books
    from records.library import counts, library_of

    at, shop = home(), tenant_id(tenant)
    url = await books_of_owner(at)
    opened = at.database_url is None and not await is_open(url, shop)
    bad: dict[int, str] = {}
    read, new, stated = await import_library(url, shop, source, rules, Edition(version), bad)
    if opened:
        await staff(url, shop)
    async with Books.open(url, size=1) as owner:
        waiting = sum(
            row["status"] == "approved" and not counts(row) for row in await library_of(owner.reading(shop))
        )
    line = f"{read} documents read, {new} new, {stated} rules in them"
    if waiting:
        line += f"; {waiting} wait for approval: countersign policies approve --tenant {shop} --all"
    for number, why in sorted(bad.items()):
        sys.stderr.write(f"countersign: {source}:{number}: {why}\n")
    said = {"documents": read, "new": new, "rules": stated, "waiting": waiting, "bad": len(bad)}
    report(said, as_json, line)
    if bad:
        raise CommandFailed(f"{len(bad)} lines were left out")


@command(policies_app, "list", "countersign policies list --tenant demo")
async def policies_list(tenant: Tenant, as_json: Json = False) -> None:
    """Every document version: from when, where, who approved it, and whether it counts."""
    from cli.printing import library_table
    from desk.library import listed_documents

    async with office() as opened:
        who = await person(opened, "demo-auditor")
        tell(await listed_documents(opened.desk_books, who, tenant_id(tenant)), as_json, library_table)


@command(policies_app, "status", "countersign policies status --tenant demo")
async def policies_status(tenant: Tenant, as_json: Json = False) -> None:
    """Which corpus the library holds, and whether it is the one that the manifest names."""
    from desk.library import corpus_in_force

    async with office() as opened:
        who = await person(opened, "demo-auditor")
        row = await corpus_in_force(opened.desk_books, who, tenant_id(tenant), opened.manifest)
    found = "the manifest's corpus" if row["is_the_manifests"] else "another corpus than the manifest's"
    line = f"{row['versions']} versions, {row['count']} count, {row['wait']} wait for approval; {found}"
    if not row["is_the_manifests"]:
        line += " (stale where the shop's policy is the manifest's: countersign policies import)"
    report(
        {name: str(value) if name.endswith("_at") else value for name, value in row.items()}, as_json, line
    )


@command(policies_app, "approve", "countersign policies approve return-policy-us 4 --tenant demo")
async def policies_approve(
    tenant: Tenant,
    document: Document = None,
    version: Version = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every version that waits, as it is shown.")
    ] = False,
    note: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """A specialist's yes: from then on the words count, on their days and in their region."""
    await _review(tenant, document, version, everything, "approve", note, as_json)


@command(
    policies_app,
    "reject",
    "countersign policies reject return-policy-us 4 --tenant demo --note 'wrong window'",
)
async def policies_reject(
    tenant: Tenant,
    document: Document = None,
    version: Version = None,
    note: Annotated[str, typer.Option(help="What is wrong with it.")] = "",
    as_json: Json = False,
) -> None:
    """A specialist's no: the words do not count, or count no more."""
    await _review(tenant, document, version, False, "reject", note, as_json)


async def _review(
    tenant: str,
    document: str | None,
    version: int | None,
    everything: bool,
    verdict: str,
    note: str,
    as_json: bool,
) -> None:
    from desk.library import listed_documents, review_document

    if (document is None) != everything or (document is not None and version is None):
        raise typer.BadParameter("name a document and its version, or --all")
    async with office() as opened:
        who, shop = await person(opened, REVIEWER), tenant_id(tenant)
        rows = [
            row
            for row in await listed_documents(opened.desk_books, who, shop)
            if _meant(row, document, version)
        ]
        if document is not None and not rows:
            raise CommandFailed(f"no document {document} version {version} for {tenant}")
        for row in rows:
            await review_document(
                opened.desk_books,
                who,
                shop,
                row["document_id"],
                row["version"],
                sha256=row["sha256"],
                verdict="approve" if verdict == "approve" else "reject",
                note=note,
            )
    done = "approved" if verdict == "approve" else "rejected"
    report({done: len(rows), "person": who.person}, as_json, f"{len(rows)} versions {done} by {who.person}")


def _meant(row: "Row", document: str | None, version: int | None) -> bool:
    if document is None:
        return row["status"] == "approved" and not row["counts"] and row["verdict"] != "reject"
    return (row["document_id"], row["version"]) == (document, version)


@command(policies_app, "index", "countersign policies index --tenant demo")
async def policies_index(tenant: Tenant, as_json: Json = False) -> None:
    """Let the embedding model of GRAPH_EMBEDDING_MODEL read what it has not read of a library yet."""
    from app.house import books_of_owner
    from app.imports import index_library
    from cli.printing import progress_of
    from cli.terminal import home
    from graph.settings import GraphSettings

    at, shop = home(), tenant_id(tenant)
    url = await books_of_owner(at)
    settings = GraphSettings(database_url=url, intake_keys=at.public_keys_file("intake"))
    if settings.embedding_model is None:
        raise CommandFailed("GRAPH_EMBEDDING_MODEL is not set: words alone need no index")
    with progress_of("reading") as said:
        done, tokens = await index_library(url, shop, settings, said)
    report(
        {"clauses": done, "tokens": tokens, "model": settings.embedding_model},
        as_json,
        f"{done} clauses read by {settings.embedding_model}, {tokens} tokens",
    )


@command(policies_app, "show", "countersign policies show return-policy-us 3 --tenant demo")
async def policies_show(
    tenant: Tenant, document: Document = None, version: Version = None, as_json: Json = False
) -> None:
    """The clauses of a document version, word for word."""
    if document is None or version is None:
        raise typer.BadParameter("name a document and its version")
    async with office() as opened:
        who, shop = await person(opened, "demo-auditor"), tenant_id(tenant)
        who.may_see(shop)
        rows = await opened.desk_books.reading(shop).rows(
            "clauses_of_document", document_id=document, version=version
        )
    if not rows:
        raise CommandFailed(f"no document {document} version {version} for {tenant}")
    tell(rows, as_json, _clauses)


def _clauses(rows: "Sequence[Row]") -> str:
    return "\n".join(f"{row['clause']}. {row['quote']}" for row in rows)
