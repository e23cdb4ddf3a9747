"""A contender: something that takes a ticket to the pause, and from the answer to the ordered money."""

from typing import Protocol


class Contender(Protocol):
    """Each ticket is paused once and resumed once, by name; any number of them at a time."""

    @property
    def name(self) -> str: ...

    async def pause(self, ticket: str) -> None:
        """From nothing to the pause for a person."""

    async def resume(self, ticket: str) -> None:
        """From a person's yes to the money that is ordered."""
