"""The commands of a shop: its own orders and its own policy."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evals.terminal import Failed, Json, command, group, home, report

if TYPE_CHECKING:
    from refunds.ids import TenantId

policies_app = group("The policy library.")
orders_app = group("The order book.")

Tenant = Annotated[str, typer.Option(help="Whose; a new one is opened.")]


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
    from evals.house import books_of_owner
    from evals.imports import import_library
    from evals.shop import staff
    from policies.clause_lines import Edition
    from records.books import Books
    from records.library import counts, library_of

    at, shop = home(), tenant_id(tenant)
    url = await books_of_owner(at)
    read, new, stated = await import_library(url, shop, source, rules, Edition(version))
    if at.database_url is None:
        await staff(url, shop)
    async with Books.open(url, size=1) as owner:
        waiting = sum(
            row["status"] == "approved" and not counts(row) for row in await library_of(owner.reading(shop))
        )
    line = f"{read} documents read, {new} new, {stated} rules in them"
    if waiting:
        line += f"; {waiting} wait for approval: countersign policies approve --tenant {shop} --all"
    report({"documents": read, "new": new, "rules": stated, "waiting": waiting}, as_json, line)


@command(orders_app, "import", "countersign orders import orders.jsonl --tenant demo")
async def orders_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Orders, one JSON object a line.")],
    tenant: Tenant,
    currency: Annotated[str, typer.Option(help="Where a line names none.")] = "USD",
    region: Annotated[str, typer.Option(help="Whose policy counts where a line names none.")] = "US",
    as_json: Json = False,
) -> None:
    """Orders with their payments into a tenant's books; safe to repeat: an order is written once and moves on."""
    from evals.house import books_of_owner
    from evals.imports import import_order_book
    from evals.printing import bar_on_terminal
    from evals.shop import staff
    from refunds.money import currency as known_currency

    at, shop = home(), tenant_id(tenant)
    try:
        known_currency(currency)
    except ValueError as error:
        raise typer.BadParameter(f"--currency: {error}") from None
    if not re.fullmatch(r"[A-Z]{2,3}", region):
        raise typer.BadParameter("--region: two or three capitals, as US")
    url = await books_of_owner(at)
    with bar_on_terminal("importing") as said:
        done = await import_order_book(url, shop, file, currency_code=currency, region=region, said=said)
    if at.database_url is None:
        await staff(url, shop)
    for number, why in sorted(done.bad.items()):
        sys.stderr.write(f"countersign: {file}:{number}: {why}\n")
    same = done.read - done.new - done.moved - len(done.bad)
    report(
        {"orders": done.read, "new": done.new, "moved": done.moved, "same": same, "bad": len(done.bad)},
        as_json,
        f"{done.read} orders read: {done.new} new, {done.moved} went on, {same} as they were, {len(done.bad)} bad",
    )
    if done.bad:
        raise Failed(f"{len(done.bad)} of {done.read} lines were left out")


def tenant_id(name: str) -> "TenantId":
    """The name of a tenant, where it can be one."""
    from refunds.ids import TenantId

    if not re.fullmatch(r"[A-Za-z0-9][!-~]{0,127}", name):
        raise typer.BadParameter("--tenant: a letter or digit, then at most 127 visible characters")
    return TenantId(name)
