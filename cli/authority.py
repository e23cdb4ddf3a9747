"""The commands about authority: how many people, and which, must agree before an amount is returned, by currency."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.terminal import CommandFailed, Json, Tenant, command, group, home, report, tell, tenant_id

if TYPE_CHECKING:
    from policies.authority import AuthorityRule

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


@command(authority_app, "add", "countersign authority add --tenant demo --currency JPY")
async def authority_add(
    tenant: Tenant,
    currency: Annotated[str, typer.Option(help="Three capitals, as JPY.")],
    specialist_from: Amount = None,
    two_people_from: Amount = None,
    as_json: Json = False,
) -> None:
    """Let a currency be approved: by one person, from an amount on by a specialist, from another on by two people.

    A limit may be lower than the house's (500.00 and 2,000.00, or 50000 and 200000 without decimals) and not higher.
    """
    from app.authority import add_authority_rules, authority_rules
    from app.house import books_of_owner
    from policies.authority import SPECIALIST_FROM_MINOR, TWO_PEOPLE_FROM_MINOR, rules_for
    from records.books import Books
    from refunds.money import currency as known_currency
    from refunds.money import read_amount

    shop = tenant_id(tenant)
    try:
        code = known_currency(currency)
        specialist, two = (
            most if text is None else read_amount(text, code).amount_minor
            for text, most in (
                (specialist_from, SPECIALIST_FROM_MINOR),
                (two_people_from, TWO_PEOPLE_FROM_MINOR),
            )
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not 0 < specialist <= SPECIALIST_FROM_MINOR or not specialist < two <= TWO_PEOPLE_FROM_MINOR:
        raise CommandFailed(
            "limits rise, and none is above the house's own: what is approved by fewer is not paid"
        )
    async with Books.open(await books_of_owner(home()), size=1) as owner:
        if not await owner.knows(shop):
            raise CommandFailed(f"no tenant {shop}: countersign tenant add {shop} opens it")
        async with owner.transaction(shop) as tx:
            if any(rule.floor.currency == code for rule in await authority_rules(tx, shop)):
                raise CommandFailed(f"{code} has rules already: countersign authority list --tenant {shop}")
            await add_authority_rules(tx, rules_for(shop, [code], specialist, two))
    report({"tenant": shop, "currency": code}, as_json, f"{code} can be approved in {shop}")


def _row(rule: "AuthorityRule") -> "dict[str, object]":
    return {
        "currency": rule.floor.currency,
        "from_minor": rule.floor.amount_minor,
        "from": str(rule.floor),
        "approvals": rule.approvals,
        "specialists": rule.specialists,
    }
