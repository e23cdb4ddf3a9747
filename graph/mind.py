"""The mind of a process: what the graph works with, made once from the process's settings."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from graph.planner import DeterministicPlanner, Planner
from graph.settings import GraphSettings
from policies.manifest import Manifest, manifest
from policies.signature import BadKey, PublicKeys, parse_public_keys
from records.books import Books


@dataclass(frozen=True)
class Mind:
    """Books, rules and a planner."""

    books: Books
    manifest: Manifest
    intake_keys: PublicKeys
    planner: Planner = field(default_factory=DeterministicPlanner)
    ticks: Callable[[], float] = time.monotonic


def mind_of(settings: GraphSettings) -> Mind:
    """A mind whose books are still closed. BadKey names the key file that is missing or none."""
    try:
        text = settings.intake_keys.read_text(encoding="utf-8")
    except OSError as error:
        raise BadKey(f"{settings.intake_keys}: {error.strerror}: run countersign db up") from None
    return Mind(
        books=Books.at(settings.database_url.get_secret_value(), size=3 * settings.concurrency + 4),
        manifest=manifest(),
        intake_keys=parse_public_keys(text, str(settings.intake_keys)),
    )


@cache
def the_settings() -> GraphSettings:
    """The settings of this process."""
    return GraphSettings()


@cache
def the_mind() -> Mind:
    """The mind of this process, for what a server loads by name."""
    return mind_of(the_settings())
