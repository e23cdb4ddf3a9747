"""The commands of the order book."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.terminal import CommandFailed, Json, Tenant, command, group, home, report, tenant_id

orders_app = group("The order book.", "countersign orders import orders.jsonl --tenant demo")


@command(orders_app, "import", "countersign orders import orders.jsonl --tenant demo")
async def orders_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Orders, one JSON object a line.")],
    tenant: Tenant,
    currency: Annotated[str, typer.Option(help="Where a line names none.")] = "USD",
    region: Annotated[str, typer.Option(help="Whose policy counts where a line names none.")] = "US",
    as_json: Json = False,
) -> None:
    """Orders with their payments into a tenant's books; safe to repeat: an order is written once and moves on."""
    from app.house import books_of_owner
    from app.imports import import_order_book
    from app.shop import is_open, staff
    from cli.printing import progress_of
    from refunds.money import currency as known_currency

    at, shop = home(), tenant_id(tenant)
    try:
        known_currency(currency)
    except ValueError as error:
        raise typer.BadParameter(f"--currency: {error}") from None
    if not re.fullmatch(r"[A-Z]{2,3}", region):
        raise typer.BadParameter("--region: two or three capitals, as US")
    url = await books_of_owner(at)
    opened = at.database_url is None and not await is_open(url, shop)
    with progress_of("importing") as said:
        done = await import_order_book(url, shop, file, currency_code=currency, region=region, said=said)
    if opened:
        await staff(url, shop)
    for number, why in sorted(done.bad.items()):
        sys.stderr.write(f"countersign: {file}:{number}: {why}\n")
    for number, difference in sorted(done.unbalanced.items()):
        sys.stderr.write(f"countersign: {file}:{number}: {difference}\n")
    same = done.read - done.new - done.moved - len(done.bad)
    report(
        {
            "orders": done.read,
            "new": done.new,
            "moved": done.moved,
            "same": same,
            "unbalanced": len(done.unbalanced),
            "bad": len(done.bad),
        },
        as_json,
        f"{done.read} orders read: {done.new} new, {done.moved} went on, {same} as they were, {len(done.bad)} bad",
    )
    if done.bad:
        raise CommandFailed(f"{len(done.bad)} of {done.read} lines were left out")
