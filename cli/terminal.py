"""The terminal: commands that print lines or JSON, and known errors in one line."""

import asyncio
import functools
import json
import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer

if TYPE_CHECKING:
    from app.house import House, Office
    from desk.people import Person
    from records.books import Row
    from records.cases import Case
    from records.states import State
    from refunds.ids import TenantId
    from runtime.home import Home

Arguments = ParamSpec("Arguments")


def group(about: str, example: str = "") -> typer.Typer:
    """A group of commands; an example for those that have a name of their own."""
    return typer.Typer(
        help=about,
        epilog=f"Example: {example}" if example else None,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )


Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Yes = Annotated[bool, typer.Option("--yes", help="Answer yes.")]
Most = Annotated[int, typer.Option(min=1, max=100_000, help="Rows of a tenant at most.")]
Why = Annotated[str, typer.Option(help="Why; it stays in the books.")]
Tenant = Annotated[str, typer.Option(help="Whose; a new one is opened.")]


def home() -> "Home":
    """The home that the environment names."""
    from runtime.home import Home

    return Home.of_environment(os.environ)


def tenant_id(name: str) -> "TenantId":
    """The name of a tenant, where it can be one."""
    from refunds.ids import TenantId

    if not re.fullmatch(r"[A-Za-z0-9][!-~]{0,127}", name):
        raise typer.BadParameter("--tenant: a letter or digit, then at most 127 visible characters")
    return TenantId(name)


@asynccontextmanager
async def office() -> "AsyncIterator[Office]":
    """The books as the desk sees them, for what only reads or decides; brought up first where they are our own."""
    from app.house import books_of_owner, open_office

    at = home()
    url = await books_of_owner(at)
    async with open_office(at, url) as opened:
        yield opened


@asynccontextmanager
async def house() -> "AsyncIterator[House]":
    """The house on its database; brought up first where it is the embedded one."""
    from app.house import books_of_owner, open_house

    at = home()
    url = await books_of_owner(at)
    async with open_house(at, url) as opened:
        yield opened


async def person(opened: "Office", otherwise: str | None = None) -> "Person":
    """The person of COUNTERSIGN_TOKEN; on the embedded books a demo person where nobody has to sign."""
    from app.shop import demo_tokens
    from desk.people import sign_in

    token = os.environ.get("COUNTERSIGN_TOKEN", "")
    if not token and otherwise and opened.home.database_url is None:
        token = demo_tokens(opened.home)[otherwise]
    return await sign_in(opened.desk_books, token, via="command")


async def find(opened: "Office", name: str, otherwise: str | None = "demo-auditor") -> "tuple[Person, Case]":
    """Who speaks, and the case of an id or a ticket id that they may see."""
    from desk.queue import find_case

    who = await person(opened, otherwise)
    return who, await find_case(opened.desk_books, who, name)


class CommandFailed(Exception):
    """The command did not do what was asked; the message is the one line that says why."""


def command(
    of: typer.Typer, called: str, example: str
) -> Callable[[Callable[Arguments, Coroutine[Any, Any, None]]], Callable[Arguments, None]]:
    """Register an async function; a known error is one line on standard error and exit status 1."""

    def register(function: Callable[Arguments, Coroutine[Any, Any, None]]) -> Callable[Arguments, None]:
        @functools.wraps(function)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
            from runtime.logs import log_to_standard_error

            log_to_standard_error("command", plain=True, level=logging.WARNING)
            try:
                for text in (*args, *kwargs.values()):
                    str(text).encode("utf-8")
                asyncio.run(function(*args, **kwargs))
            except BrokenPipeError:
                # Whoever read has read enough; what Python would flush at its end goes nowhere.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise typer.Exit(0) from None
            except Exception as error:
                from cli.printing import known_error

                line = str(error) if isinstance(error, CommandFailed) else known_error(error)
                if line is None:
                    raise
                sys.stderr.write(f"countersign: {line}\n")
                raise typer.Exit(1) from None

        of.command(called, epilog=f"Example: {example}")(run)
        return run

    return register


def say(line: str) -> None:
    """One line to standard output."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def tell(rows: "Sequence[Row]", as_json: bool, table: "Callable[[Sequence[Row]], str]") -> None:
    """Rows, one JSON object a line or as a table."""
    for row in rows if as_json else ():
        say(json.dumps(dict(row), default=str))
    if not as_json:
        say(table(rows))


def report(done: dict[str, object], as_json: bool, line: str) -> None:
    """What was done, as JSON or as a sentence."""
    say(json.dumps(done) if as_json else line)


def show_state(state: "State", as_json: bool) -> None:
    """A state, as JSON or for the eye."""
    from cli.printing import state_lines

    say(json.dumps(state, default=str) if as_json else "\n".join(state_lines(state)))
