"""The commands about people: who they are, how they sign in, what they may. They speak as the owner of the books."""

import getpass
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli.terminal import CommandFailed, Json, command, group, home, report, tell

if TYPE_CHECKING:
    from records.books import Transaction
    from refunds.ids import TenantId
    from refunds.vocabulary import Role

people_app = group("The people of the desk.", "countersign people list")

Who = Annotated[str, typer.Argument(metavar="PERSON", help="The name they sign in with.")]
Roles = Annotated[list[str], typer.Option("--role", help="TENANT:ROLE; say it again for another.")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@asynccontextmanager
async def owner() -> "AsyncIterator[Transaction]":
    """The books as their owner, in one transaction."""
    from app.house import books_of_owner
    from records.books import Books

    async with Books.open(await books_of_owner(home()), size=1) as books, books.transaction() as tx:
        yield tx


def read_roles(said: list[str]) -> "dict[TenantId, frozenset[Role]]":
    """Roles by tenant from TENANT:ROLE."""
    from typing import cast, get_args

    from refunds.ids import TenantId
    from refunds.vocabulary import Role

    roles: dict[TenantId, frozenset[Role]] = {}
    for text in said:
        tenant, _, role = text.rpartition(":")
        if not tenant or role not in get_args(Role):
            raise typer.BadParameter(f"--role: TENANT:ROLE with one of {', '.join(get_args(Role))}")
        roles[TenantId(tenant)] = roles.get(TenantId(tenant), frozenset()) | {cast("Role", role)}
    return roles


def new_password(*, stdin: bool) -> str:
    """A password from standard input, or asked for twice at the terminal."""
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise CommandFailed("the two are not the same: nothing was changed")
    return first


async def known(tx: "Transaction", person: str) -> None:
    """Failed where nobody has that name, or an issuer vouches for them."""
    row = await tx.row("person_there", person=person)
    if row is None:
        raise CommandFailed(f"{person}: nobody of that name: countersign people list")
    if not row["active"]:
        raise CommandFailed(f"{person} has left: countersign people leave {person} --back")
    if row["issuer"] is not None:
        raise CommandFailed(f"{person}: {row['issuer']} vouches for them and says their roles")


@command(people_app, "add", "countersign people add ann --role shop:reviewer --password-stdin < file")
async def add(
    person: Who,
    role: Roles,
    name: Annotated[str, typer.Option(help="Their name in full.")] = "",
    email: Annotated[str | None, typer.Option(help="Where they are told of cases.")] = None,
    stdin: Stdin = False,
    as_json: Json = False,
) -> None:
    """A person with roles and a password; one who is there gets the roles of this call and no others."""
    import re

    from desk.passwords import set_password
    from refunds.ids import PersonId

    if not re.fullmatch(r"[!-~]{1,128}", person):
        raise typer.BadParameter("PERSON: up to 128 visible characters")
    roles = read_roles(role)
    password = new_password(stdin=stdin)
    async with owner() as tx:
        there = await tx.row("person_there", person=person)
        if there is not None:
            await known(tx, person)
        await tx.rows("insert_person", person=person, name=name or person)
        tenants = [row["tenant"] for row in await tx.rows("list_tenants")]
        strange = sorted(set(roles) - set(tenants))
        if strange:
            raise CommandFailed(f"{strange[0]}: no such tenant: countersign tenant add {strange[0]} opens it")
        for tenant in tenants:
            await tx.rows("enter_tenant", tenant=tenant)
            await tx.rows("delete_membership", person=person)
            for held in sorted(roles.get(tenant, frozenset())):
                await tx.rows("insert_membership", tenant=tenant, person=person, role=held)
        if email is not None:
            await tx.rows("set_email", person=person, email=email)
        await set_password(tx, PersonId(person), password)
    report({"person": person, "roles": role}, as_json, f"{person} may sign in: {', '.join(role)}")


@command(people_app, "password", "countersign people password ann")
async def password(person: Who, stdin: Stdin = False, as_json: Json = False) -> None:
    """A new password for a person who is there; the old one ends."""
    from desk.passwords import set_password
    from refunds.ids import PersonId

    chosen = new_password(stdin=stdin)
    async with owner() as tx:
        await known(tx, person)
        await set_password(tx, PersonId(person), chosen)
        await tx.rows("end_sessions_of", person=person)
    report({"person": person}, as_json, f"{person} has a new password")


@command(people_app, "token", "countersign people token ann --scope cases:read --days 30")
async def token(
    person: Who,
    scope: Annotated[list[str] | None, typer.Option(help="What it is for; all that they may.")] = None,
    days: Annotated[int, typer.Option(min=1, max=366)] = 90,
    server: Annotated[bool, typer.Option("--server", help="For the graph's server API.")] = False,
    as_json: Json = False,
) -> None:
    """A token that speaks for a person, shown once and kept as its hash."""
    from desk.people import SERVER_CEILING_MINOR, SERVER_SCOPES, issue, new_token, scopes_of
    from refunds.ids import PersonId

    made = new_token()
    async with owner() as tx:
        if await tx.row("person_there", person=person) is None:
            raise CommandFailed(f"{person}: nobody of that name: countersign people list")
        held: set[Role] = set()
        for row in await tx.rows("list_tenants"):
            await tx.rows("enter_tenant", tenant=row["tenant"])
            held |= {found["role"] for found in await tx.rows("roles_of_person", person=person)}
        may = scopes_of(frozenset(held)) & (SERVER_SCOPES if server else scopes_of(frozenset(held)))
        wanted = frozenset(one for one in may if scope is None or one in scope)
        strange = sorted(set(scope or ()) - may)
        if strange or not wanted:
            raise CommandFailed(
                f"--scope: {', '.join(strange) or 'none'}: {person} may {', '.join(sorted(may)) or 'nothing'}"
            )
        await issue(
            tx,
            PersonId(person),
            made,
            wanted,
            audience="server" if server else "desk",
            ceiling_minor=SERVER_CEILING_MINOR if server else None,
            days=days,
        )
    report({"person": person, "token": made, "scopes": sorted(wanted)}, as_json, made)


@command(people_app, "leave", "countersign people leave ann")
async def leave(
    person: Who,
    back: Annotated[bool, typer.Option("--back", help="They are back.")] = False,
    as_json: Json = False,
) -> None:
    """A person leaves: no session, token or vote of theirs counts from now on; what they did stays theirs."""
    async with owner() as tx:
        if not await tx.rows("set_active", person=person, active=back):
            raise CommandFailed(f"{person}: nobody of that name: countersign people list")
    report({"person": person, "active": back}, as_json, f"{person} {'is back' if back else 'has left'}")


@command(people_app, "list", "countersign people list --json")
async def listed(as_json: Json = False) -> None:
    """Everybody, with their roles by tenant."""
    from cli.printing import people_table

    async with owner() as tx:
        rows = [dict(row) | {"roles": {}} for row in await tx.rows("list_people")]
        for tenant in [row["tenant"] for row in await tx.rows("list_tenants")]:
            await tx.rows("enter_tenant", tenant=tenant)
            for row in rows:
                held = [found["role"] for found in await tx.rows("roles_of_person", person=row["person"])]
                if held:
                    row["roles"][tenant] = held
    tell(rows, as_json, people_table)
