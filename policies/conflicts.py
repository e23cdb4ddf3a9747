"""Conflicts: a clause that speaks best of the customer's words and forbids what another clause's rule would give."""

import re
from collections.abc import Iterable

from refunds.evidence import Citation, Grounded

_FORBIDS = re.compile(
    r"\b(?:cannot|not|never)\b[^.;:]{0,40}\b(?:refund\w*|returned|paid out)\b|\bno refunds?\b|\bpaid out as\b"
    r"|\bonly\b[^.;:]{0,40}\bcan (?:return|be returned|be refunded)\b",
    re.IGNORECASE,
)


def conflict_with(evidence: Grounded, decided: Citation, ruled: Iterable[Citation]) -> Citation | None:
    """The clause that was found first by the words and forbids the refund that `decided` gives; None where none does.

    A document that states a rule was asked by its rule: it forbids where that says so, and nothing by its words alone.
    """
    best = evidence.alike if evidence.by_rule else evidence.citations[0]
    if best is None or best == decided or best.document_id in {citation.document_id for citation in ruled}:
        return None
    return best if _FORBIDS.search(best.quote) else None
