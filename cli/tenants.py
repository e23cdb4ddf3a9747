"""The commands about tenants: a shop is opened with the house's rules of authority and nobody in it."""

from typing import Annotated

import typer

from cli.terminal import CommandFailed, Json, command, group, home, report, tell, tenant_id

tenant_app = group("The tenants: shops whose books are kept apart.", "countersign tenant list")


@command(tenant_app, "add", "countersign tenant add lamps --name 'Lamps and more'")
async def tenant_add(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="A letter or digit first, as lamps.")],
    name: Annotated[str, typer.Option(help="As people call it.")] = "",
    as_json: Json = False,
) -> None:
    """Open a tenant. Nobody works for it before they are added, the demo shop's people neither."""
    from app.house import books_of_owner
    from app.shop import enter_tenant
    from records.books import Books

    shop = tenant_id(tenant)
    async with Books.open(await books_of_owner(home()), size=1) as owner:
        if await owner.knows(shop):
            raise CommandFailed(f"{shop} is there already: countersign tenant list")
        async with owner.transaction(shop) as tx:
            await enter_tenant(tx, shop, name or shop)
    report(
        {"tenant": shop},
        as_json,
        f"{shop} is open; nobody works for it yet: countersign people add NAME --role {shop}:specialist",
    )


@command(tenant_app, "list", "countersign tenant list")
async def tenant_list(as_json: Json = False) -> None:
    """Every tenant."""
    from app.house import books_of_owner
    from records.books import Books

    async with Books.open(await books_of_owner(home()), size=1) as owner:
        tenants = await owner.tenants()
    tell(
        [{"tenant": tenant} for tenant in tenants],
        as_json,
        lambda rows: "\n".join(row["tenant"] for row in rows),
    )
