"""Policy evidence: the clauses that answer a question, word for word, or the word that there are none.

A claim of money is answered by the clauses that state what is paid back, whatever words it is made in; one
that does not say for what, by the clauses that ask.
Only documents that are approved, in force on the day, of the tenant and for the region are looked at;
what may not be cited is never ranked.
"""

from datetime import date
from typing import Literal

from policies.clauses import ASKING
from records.books import Page
from records.library import find_evidence, rules_in_force
from refunds.evidence import Abstain, Evidence, Grounded

GROUNDED_FROM = 0.5
"""Share of the question's weight that the best clause must cover; below it the honest answer is none."""

SUPPORT_FROM = 0.35
"""A further clause is cited beside the best one from here on."""

CITATIONS = 3

MoneyClaim = Literal["none", "unstated", "stated"]


async def get_policy_evidence(
    page: Page, question: str, region: str, on_date: date, claim: MoneyClaim = "none"
) -> Evidence:
    """The clauses in force that cover the question, the best first; Abstain where none covers enough."""
    candidates = await find_evidence(page, question, region, on_date)
    if not candidates or candidates[0].coverage < GROUNDED_FROM:
        stated = await rules_in_force(page, region, on_date) if claim != "none" else []
        decisive = [rule for rule in stated if claim == "stated" or rule.parameters.get("rule") in ASKING]
        return Grounded(tuple(rule.citation for rule in decisive[:CITATIONS])) if decisive else Abstain()
    cited = [candidate.citation for candidate in candidates if candidate.coverage >= SUPPORT_FROM]
    return Grounded(tuple(cited[:CITATIONS]))
