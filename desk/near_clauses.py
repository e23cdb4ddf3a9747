"""Near clauses: what of the policy stands nearest to a customer's words, for a person who writes to them.

Being near is not answering: the agent cited none of these by itself.
"""

from datetime import date

from policies.synonyms import in_our_words
from records.books import Reads
from records.library import words_of
from refunds.evidence import Citation
from refunds.ids import TenantId
from runtime.shelf import shelf_of

MOST = 3
WORDS_LIMIT = 2_000


async def near_clauses(
    reads: Reads, tenant: TenantId, asked: str, region: str, on_date: date
) -> list[Citation]:
    """The best clauses in force for the words, of different documents; none where no word is shared."""
    words, edition = await words_of(reads, in_our_words(asked[:WORDS_LIMIT]))
    if not words:
        return []
    shelf = await shelf_of(reads, tenant, region, on_date, edition)
    return [one.citation for one in shelf.rank(words)[:MOST]]
