"""Saved views: searches of the queue that a person keeps under a name. The last one of a name counts."""

from dataclasses import dataclass

from desk.catalogue import _
from desk.notes import BadDecision, check_note, clean_text
from desk.people import Person
from records.books import Books

MOST = 20
NAME_LIMIT = 60
ADDRESS_LIMIT = 600


@dataclass(frozen=True, slots=True)
class SavedView:
    """A name and the filters of the queue behind it, as they stand in its address."""

    name: str
    address: str


async def saved_views(books: Books, person: Person) -> list[SavedView]:
    """A person's views, by name."""
    async with books.transaction() as tx:
        rows = await tx.rows("saved_views_of", person=person.person)
    return [SavedView(row["name"], row["address"]) for row in rows]


async def save_view(books: Books, person: Person, name: str, address: str) -> None:
    """Keep the filters under a name; empty ones take the view away. BadDecision for too many, or no name."""
    name = clean_text(name)
    check_note(name, "name")
    if not 0 < len(name) <= NAME_LIMIT or not name.isprintable():
        raise BadDecision(_("name: one line of at most %(most)s letters", most=NAME_LIMIT))
    if len(address) > ADDRESS_LIMIT or not address.isprintable():
        raise BadDecision(_("view: these filters are too long to keep"))
    async with books.transaction() as tx:
        row = await tx.row("insert_saved_view", person=person.person, name=name, address=address, most=MOST)
    if row is None:
        raise BadDecision(_("name: you keep %(most)s views: take one away first", most=MOST))
