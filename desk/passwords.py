"""Passwords of local people: argon2id, one try after the other, and a lock-out that ends by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from weakref import WeakKeyDictionary

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from records.books import Books, Transaction
from refunds.canonical import sha256
from refunds.ids import PersonId

LOCK_MINUTES = 15
TRIES_OF_A_NAME = 5
TRIES_OF_AN_ADDRESS = 50
"""Wrong passwords within those minutes; after that neither the right one nor a wrong one is looked at."""

AT_ONCE = 2
WAIT_SECONDS = 10.0

SHORTEST, LONGEST = 12, 256


class WrongPassword(Exception):
    """No such person, or not their password: which of the two is not said."""

    def __init__(self) -> None:
        super().__init__("that name and that password do not belong together")


class LockedOut(Exception):
    """Too many wrong passwords of this name or from this address."""

    def __init__(self) -> None:
        super().__init__(f"too many wrong passwords: try again in {LOCK_MINUTES} minutes, or ask an operator")


class BadPassword(ValueError):
    """A new password that is none; the message says why."""


@cache
def hasher() -> PasswordHasher:
    """argon2id with the parameters of RFC 9106 for little memory: 64 MiB, three passes, four lanes."""
    return PasswordHasher()


_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@asynccontextmanager
async def turns() -> AsyncIterator[None]:
    """Hold one of the few places in which a password is verified. LockedOut where too many wait for one."""
    waiting = _TURNS.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))
    try:
        await asyncio.wait_for(waiting.acquire(), WAIT_SECONDS)
    except TimeoutError:
        raise LockedOut from None
    try:
        yield
    finally:
        waiting.release()


@cache
def nobodys() -> str:
    """A hash that is verified where nobody has that name, so that the answer takes as long."""
    return hasher().hash("nobody has this password")


def password_hash(password: str) -> str:
    """The argon2id hash of a new password. BadPassword where it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadPassword(f"password: from {SHORTEST} to {LONGEST} characters")
    return hasher().hash(password)


async def set_password(tx: Transaction, person: PersonId, password: str) -> None:
    """Give a local person a password, in a transaction of the owner: no process may do this."""
    await tx.rows("insert_password", person=person, hash=await asyncio.to_thread(password_hash, password))


async def check_password(books: Books, name: str, password: str, address: str) -> PersonId:
    """The person of a name and a password. Raises WrongPassword, LockedOut."""
    name_sha256 = sha256(name)
    # Few at a time: each takes memory and a moment, and whoever decides needs the connections.
    async with turns(), books.transaction() as tx:
        await tx.rows("lock_sign_in", name_sha256=sha256(address))
        await tx.rows("lock_sign_in", name_sha256=name_sha256)
        failed = await tx.row(
            "failed_sign_ins", name_sha256=name_sha256, address=address, minutes=LOCK_MINUTES
        )
        if (
            failed is None
            or failed["of_name"] >= TRIES_OF_A_NAME
            or failed["of_address"] >= TRIES_OF_AN_ADDRESS
        ):
            raise LockedOut
        printable = name.isascii() and name.isprintable()
        row = await tx.row("password_of", person=name) if printable else None
        right = await asyncio.to_thread(_verify, row["hash"] if row else nobodys(), password[:LONGEST])
        succeeded = row is not None and right
        tx.later("insert_sign_in", name_sha256=name_sha256, address=address, succeeded=succeeded)
    if not succeeded:
        raise WrongPassword
    return PersonId(name)


def _verify(stored: str, password: str) -> bool:
    try:
        return hasher().verify(stored, password)
    except (Argon2Error, InvalidHashError):
        return False
