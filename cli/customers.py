"""The commands about customers: where their replies go, and whom none can reach."""

import sys
from pathlib import Path
from typing import Annotated

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

customers_app = group("The customers.", "countersign customers import customers.jsonl --tenant demo")

MOST = 500


@command(customers_app, "import", "countersign customers import customers.jsonl --tenant demo")
async def customers_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Customers, one JSON object a line.")],
    tenant: Tenant,
    as_json: Json = False,
) -> None:
    """Customers with address, name and language into a tenant's books; what a line does not say stays as it was."""
    from app.house import books_of_owner
    from app.imports import import_customer_book
    from records.books import Books

    shop = tenant_id(tenant)
    url = await books_of_owner(home())
    async with Books.open(url, size=1) as owner:
        if not await owner.knows(shop):
            raise CommandFailed(f"no tenant {shop}: countersign tenant add {shop} opens it")
    done = await import_customer_book(url, shop, file)
    for number, why in sorted(done.bad.items()):
        sys.stderr.write(f"countersign: {file}:{number}: {why}\n")
    report(
        {"customers": done.read, "written": done.written, "answered": done.answered, "bad": len(done.bad)},
        as_json,
        f"{done.read} customers read: {done.written} written, {len(done.bad)} bad; {done.answered} replies go out now",
    )
    if done.bad:
        raise CommandFailed(f"{len(done.bad)} of {done.read} lines were left out")


@command(customers_app, "unreachable", "countersign customers unreachable --tenant demo")
async def customers_unreachable(tenant: Tenant, as_json: Json = False) -> None:
    """Cases that call for a reply and whose customer has no address, the longest waiting first."""
    from cli.printing import unreachable_table
    from records.customers import unreachable_cases

    shop = tenant_id(tenant)
    async with office() as opened:
        who = await person(opened, "demo-operator")
        who.may_see(shop)
        rows = await unreachable_cases(opened.desk_books.reading(shop), MOST)
    said = [{**row, "case_id": str(row["case_id"]), "at": row["at"].isoformat()} for row in rows]
    tell(said, as_json, unreachable_table)
