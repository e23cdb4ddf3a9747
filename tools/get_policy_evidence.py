"""Policy evidence: the clause that answers a question, word for word, or that there is none.

A claim of money is answered by the clauses that state what is paid back, where it says for what or speaks of
what the policy speaks of; any other by the clauses that ask.
Only documents that are approved, in force on the day, of the tenant and for the region are looked at;
what may not be cited is never ranked.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from policies.answering import asks_elsewhere, is_code
from policies.clauses import ASKING
from policies.ranking import Near, about_policy
from policies.synonyms import commands_the_agent, in_our_words
from records.books import Reads
from records.library import is_read, nearest_clauses, rules_in_force, words_of
from refunds.evidence import Abstain, Evidence, Grounded
from refunds.ids import TenantId
from runtime.shelf import shelf_of

MoneyClaim = Literal["none", "unstated", "stated"]


@dataclass(frozen=True, slots=True)
class Sense:
    """What a question means to an embedding model."""

    model: str
    vector: tuple[float, ...]


async def get_policy_evidence(
    reads: Reads,
    tenant: TenantId,
    question: str,
    region: str,
    on_date: date,
    claim: MoneyClaim = "none",
    sense: Sense | None = None,
) -> Evidence:
    """The clause in force that answers the question; Abstain where none does, or two might."""
    words, edition = await words_of(reads, in_our_words(question))
    shelf = await shelf_of(reads, tenant, region, on_date, edition)
    ranked = shelf.rank(words)
    no_question = commands_the_agent(question) or is_code(question) or asks_elsewhere(question, region)
    found = None if no_question or not words else shelf.answer(words, ranked, question)
    if sense is not None and not no_question:
        near = await meant_by(reads, sense, region, on_date)
        # A clause that no model has read yet cannot be gainsaid by one.
        if found is None or await is_read(reads, sense.model, found.document_id, found.version, found.clause):
            found = shelf.fused(found, near, words, ranked, question)
    if found is not None:
        return Grounded((found,))
    stated = await rules_in_force(reads, region, on_date) if claim != "none" else []
    decisive = [
        rule
        for rule in stated
        if claim == "stated" or about_policy(ranked) or rule.parameters.get("rule") in ASKING
    ]
    return Grounded(tuple(rule.citation for rule in decisive), by_rule=True) if decisive else Abstain()


async def meant_by(reads: Reads, sense: Sense, region: str, on_date: date) -> list[Near]:
    """The clauses in force that mean most nearly what is asked."""
    rows = await nearest_clauses(reads, sense.model, sense.vector, region, on_date)
    return [Near(row["document_id"], row["version"], row["clause"], float(row["near"])) for row in rows]
