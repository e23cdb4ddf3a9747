"""The shelf of a process: the clauses that count for a day and a region, remembered until the library grows."""

import asyncio
from collections import OrderedDict
from datetime import date

from policies.ranking import Findable, Shelf
from records.books import Reads
from records.library import clauses_in_force
from refunds.ids import TenantId

SHELVES = 64
"""Days and regions whose clauses a process remembers at most."""

_SHELVES: OrderedDict[tuple[TenantId, str, date, str], Shelf] = OrderedDict()


async def shelf_of(reads: Reads, tenant: TenantId, region: str, on_date: date, edition: str) -> Shelf:
    """The clauses that count; `edition` names what the library holds, as `words_of` tells it."""
    key = (tenant, region, on_date, edition)
    if key in _SHELVES:
        _SHELVES.move_to_end(key)
        return _SHELVES[key]
    clauses = await clauses_in_force(reads, region, on_date)
    shelf = await asyncio.to_thread(
        lambda: Shelf([Findable(one.citation, one.phrases[0], one.phrases[1:]) for one in clauses])
    )
    _SHELVES[key] = shelf
    while len(_SHELVES) > SHELVES:
        _SHELVES.popitem(last=False)
    return shelf
