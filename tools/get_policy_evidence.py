"""Policy evidence: the clause that answers a question, word for word, or those nearest to it and no answer.

A claim of money is answered by the clauses that state what is paid back, where it says for what or speaks of what the
policy speaks of, else by those that ask; a question by the clause whose document states
this very question as a way to ask for it. Any other is not answered here: words and nearness know where an answer may
stand, and only who reads knows whether it does. Only documents that are approved, in force on the day, of the tenant
and for the region are looked at; what may not be cited is never ranked.
"""

from datetime import date
from typing import Literal

from policies.clauses import ASKING
from records.books import Reads
from records.library import rules_in_force
from refunds.evidence import Abstain, Evidence, Grounded
from refunds.ids import TenantId
from runtime.shelf import Sense, look_up

MoneyClaim = Literal["none", "unstated", "stated"]

OFFERED = 8
"""Clauses that are read for an answer where somebody reads."""


async def get_policy_evidence(
    reads: Reads,
    tenant: TenantId,
    question: str,
    region: str,
    on_date: date,
    claim: MoneyClaim = "none",
    sense: Sense | None = None,
) -> Evidence:
    """The clause that answers the question; the nearest ones where that is not known."""
    found = await look_up(reads, tenant, question, region, on_date, OFFERED, sense)
    if found.stated is not None:
        return Grounded((found.stated,))
    stated = await rules_in_force(reads, region, on_date) if claim != "none" else []
    decisive = [
        rule
        for rule in stated
        if claim == "stated" or found.speaks_of_policy or rule.parameters.get("rule") in ASKING
    ]
    if decisive:
        return Grounded(tuple(rule.citation for rule in decisive), by_rule=True, alike=found.alike)
    return Abstain(found.offers)
