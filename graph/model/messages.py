"""What a model works on: sections of data, each fenced by a name that nobody who wrote in it could know."""

import re
import time
from collections.abc import Mapping, Sequence

from graph.planner import PlanContext
from refunds.canonical import canonical, sha256
from refunds.evidence import Citation
from refunds.ids import CaseId
from refunds.masking import KnownNames, mask
from refunds.order import OrderFacts

CUSTOMER_LIMIT = 4_000
QUOTE_LIMIT = 1_500
QUOTES = 6
"""What of a case is shown to a model at most: a reviewer sees all of it."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")


def since(started: float) -> int:
    """Whole milliseconds since a moment of the clock that only goes forward."""
    return max(0, round((time.monotonic() - started) * 1000))


def written_data(case_id: CaseId, kind: str, text: str, known: KnownNames) -> str:
    """What somebody wrote: masked, then shortened, then fenced, in this order, so that no half of a number stays."""
    return fenced(case_id, kind, shortened(mask(text, known), CUSTOMER_LIMIT))


def last_answer(case_id: CaseId, wrong: str, known: KnownNames) -> str:
    """Why the last answer could not be used. What it quotes of that answer is data like any other."""
    if not wrong:
        return ""
    return f"Your last answer could not be used. Answer again.\n{fenced(case_id, 'reason', mask(wrong[:300], known))}"


def remembered(case_id: CaseId, plan_context: PlanContext) -> str:
    """What is remembered of the customer, as data; empty where nothing is, or they want nothing remembered."""
    if not plan_context.memory:
        return ""
    return fenced(case_id, "memory", mask(as_data(plan_context.memory), plan_context.known))


def fenced(case_id: CaseId, kind: str, text: str) -> str:
    """A text as data, whatever it says. The name of its fence follows from the case and the text."""
    name = sha256(f"{case_id}:{kind}:{text}")[:16]
    clean = without_controls(text).replace(name, "")
    return f"<data {kind} {name}>\n{clean}\n</data {name}>"


def without_controls(text: str) -> str:
    """A text without what cannot be seen."""
    return _CONTROL.sub(" ", text)


def shortened(text: str, limit: int) -> str:
    """The beginning and the end of a text that is too long."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"


def facts_shown(order: OrderFacts) -> dict[str, object]:
    """An order by its ids, states, dates and amounts: nothing that names its customer."""
    return {
        "order_id": order.order_id,
        "status": order.status,
        "ordered_on": order.ordered_at.date().isoformat(),
        "delivered_on": order.delivered_at.date().isoformat() if order.delivered_at else None,
        "lines": [
            {
                "line_id": line.line_id,
                "sku": line.sku,
                "name": line.name[:120],
                "quantity": line.quantity,
                "refunded": order.gone[line.line_id],
                "price": str(line.price),
            }
            for line in order.lines[:20]
        ],
    }


def quotes_shown(citations: Sequence[Citation]) -> list[dict[str, object]]:
    """The clauses that were found, to quote from."""
    return [
        {
            "citation_id": citation.citation_id,
            "clause": citation.clause,
            "quote": shortened(citation.quote, QUOTE_LIMIT),
        }
        for citation in citations[:QUOTES]
    ]


def sections(**parts: str) -> str:
    """The parts of a message, in order."""
    return "\n\n".join(f"{name}:\n{text}" for name, text in parts.items() if text)


def as_data(value: Mapping[str, object] | Sequence[object]) -> str:
    """A value of ours as JSON."""
    return canonical(value)
