"""The commands about authority: how many people, and which, must agree before an amount is returned, by currency."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.terminal import CommandFailed, Json, Tenant, command, group, home, report, tell, tenant_id

if TYPE_CHECKING:
    from app.authority import ApprovalLimits
    from policies.authority import AuthorityRule
    from refunds.ids import TenantId

authority_app = group(
    "Who must agree before an amount is returned.", "countersign authority list --tenant demo"
)

Amount = Annotated[
    str | None, typer.Option(metavar="AMOUNT", help="As people write it; the house's own where none.")
]


@command(authority_app, "list", "countersign authority list --tenant demo")
async def authority_list(tenant: Tenant, as_json: Json = False) -> None:
    """The rules of a tenant: from which amount on how many people, and how many specialists of them."""
    from app.authority import authority_rules
    from app.house import books_of_owner
    from cli.printing import authority_table
    from records.books import Books

    shop = tenant_id(tenant)
    async with Books.open(await books_of_owner(home()), size=1) as owner:
        rules = await authority_rules(owner.reading(shop), shop)
    tell([_row(rule) for rule in rules], as_json, authority_table)


@command(
    authority_app, "set", "countersign authority set --tenant demo --currency JPY --specialist-from 20000"
)
async def authority_set(
    tenant: Tenant,
    currency: Annotated[str, typer.Option(help="Three capitals, as JPY.")],
    specialist_from: Amount = None,
    two_people_from: Amount = None,
    as_json: Json = False,
) -> None:
    """Let a currency be approved: by one person, from an amount on by a specialist, from another on by two people.

    A limit may be lower than the house's (500.00 and 2,000.00, or 50000 and 200000 without decimals) and not higher. It
    takes the place of what the currency had before.
    """
    from app.authority import ApprovalLimits, BadAuthority

    shop = tenant_id(tenant)
    try:
        limits = ApprovalLimits.read(currency, specialist_from, two_people_from)
    except ValueError as error:
        raise (CommandFailed if isinstance(error, BadAuthority) else typer.BadParameter)(str(error)) from None
    await _write(shop, [limits])
    report(
        {"tenant": shop, "currency": limits.currency}, as_json, f"{limits.currency} can be approved in {shop}"
    )


@command(authority_app, "import", "countersign authority import authority.jsonl --tenant demo")
async def authority_import(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    tenant: Tenant,
    as_json: Json = False,
) -> None:
    """Rules of many currencies: JSONL with currency, specialist_from, two_people_from; all of the file or nothing."""
    from app.authority import read_limits

    shop = tenant_id(tenant)
    try:
        every = read_limits(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CommandFailed(f"{file}: {error}") from None
    await _write(shop, every)
    codes = ", ".join(limits.currency for limits in every)
    report(
        {"tenant": shop, "currencies": [limits.currency for limits in every]},
        as_json,
        f"{codes} can be approved in {shop}",
    )


async def _write(shop: "TenantId", every: "Sequence[ApprovalLimits]") -> None:
    """Put the limits of currencies in the place of those that are there."""
    from app.authority import set_authority_rules
    from app.house import books_of_owner
    from records.books import Books

    async with Books.open(await books_of_owner(home()), size=1) as owner:
        if not await owner.knows(shop):
            raise CommandFailed(f"no tenant {shop}: countersign tenant add {shop} opens it")
        async with owner.transaction(shop) as tx:
            await set_authority_rules(tx, shop, every)


def _row(rule: "AuthorityRule") -> "dict[str, object]":
    return {
        "currency": rule.floor.currency,
        "from_minor": rule.floor.amount_minor,
        "from": str(rule.floor),
        "approvals": rule.approvals,
        "specialists": rule.specialists,
    }
