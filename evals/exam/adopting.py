"""Adopting: a case that a person decided becomes an episode.

Its words are masked, its order is a snapshot under another name, and what the person decided is how it has to end.
"""

import re
from pathlib import Path

from app.shop import DEMO
from evals.exam.episode import Episode, EpisodeAct, Given, episode_line, read_episodes
from policies.grading import ExpectedEnd
from records.books import Books
from records.cases import Case
from records.messages import messages_of
from records.orders import order_facts
from records.snapshots import snapshot_at
from refunds.canonical import canonical, sha256
from refunds.masking import KnownNames, known_of, mask
from refunds.order import OrderFacts

ADOPTED = Path(__file__).parent.parent / "sets" / "adopted-v1.jsonl"
DONE = frozenset({"refunded", "replied", "rejected", "closed_by_human"})


class NotDecided(Exception):
    """Nobody has decided this case yet; the message says where it stands."""


async def adopt(books: Books, case: Case) -> Episode:
    """The episode of a case. Raises NotDecided."""
    async with books.transaction(case.tenant) as tx:
        seen = await snapshot_at(tx, case.case_id)
        order = await order_facts(tx, case.order_id) if case.order_id else None
        said = await messages_of(tx, case.case_id)
        customer = await tx.row("known_customer", customer_id=case.customer_id)
    current = seen.current
    now = f"{seen.state.status} {seen.state.reason}"
    if seen.state.status not in DONE or current is None:
        raise NotDecided(f"case {case.case_id} is {now}: adopted is what a person has decided")
    if not seen.state.ended:
        raise NotDecided(f"case {case.case_id} is {now} and its run is not over: try again in a moment")
    if case.tenant != DEMO:
        raise NotDecided(f"case {case.case_id} is of {case.tenant}: the exam's shop has the demo's policy")
    if said:
        raise NotDecided(f"case {case.case_id} has answers after its ticket, which an episode does not carry")
    name = sha256(f"{case.tenant}:{case.case_id}")[:10]
    ours = order if order is not None and order.customer_id == case.customer_id else None
    known = known_of(dict(customer or {}), ())
    paid = current.proposal.amount.amount_minor if seen.state.status == "refunded" else 0
    ticket: dict[str, object] = {
        "customer_id": f"C-{name}",
        "order_id": f"O-{name}" if case.order_id else None,
        "question": _renamed(mask(case.ticket.question, known), case, name),
        "intent": case.intent,
    }
    if case.ticket.items is not None:
        ticket["items"] = list(case.ticket.items)
    return Episode(
        f"adopted {name}",
        Given(
            ticket=ticket,
            orders=[_snapshot(ours, name, case, known, paid)] if ours is not None else [],
            then=[
                EpisodeAct(act="approve"),
                EpisodeAct(act="approve", by="demo-specialist"),
                EpisodeAct(act="approve", by="demo-specialist-2"),
                EpisodeAct(act="drive"),
            ],
        ),
        ExpectedEnd(refunds=1 if paid else 0, refunded_minor=paid),
        f"{seen.state.status} {seen.state.reason}, release {case.release}, "
        f"cites {', '.join(sorted({one.citation_id for one in current.proposal.citations})) or 'nothing'}",
    )


def _renamed(text: str, case: Case, name: str) -> str:
    """The text under the names of the episode, however the customer spelled the ids."""
    for was, now in (
        (case.order_id, f"O-{name}"),
        (case.customer_id, f"C-{name}"),
        (case.ticket_id, f"T-{name}"),
    ):
        if was:
            text = re.sub(rf"(?<![\w-]){re.escape(was)}(?![\w-])", now, text, flags=re.IGNORECASE)
    return text


def _snapshot(order: OrderFacts, name: str, case: Case, known: KnownNames, paid: int) -> dict[str, object]:
    """The order as its line, as old as when the ticket came, with what went back before this case's own refund."""
    at = case.received_at
    payments: list[dict[str, object]] = []
    for number, payment in enumerate(order.payments):
        called = {"payment_id": f"P-{name}-{number}", "kind": payment.kind, "method": f"method_{number}"}
        payments.append({**called, "amount_minor": payment.paid.amount_minor})
        before = payment.refunded.amount_minor - (paid if payment.refunded.amount_minor >= paid else 0)
        if before > 0:
            payments.append({**called, "type": "refund", "amount_minor": before})
    line: dict[str, object] = {
        "order_id": f"O-{name}",
        "customer_id": f"C-{name}",
        "status": order.status,
        "currency": str(order.currency),
        "region": order.region,
        "ordered_days_ago": max(0, (at - order.ordered_at).days),
        "lines": [
            {
                "line_id": line.line_id,
                "sku": line.sku,
                "name": mask(line.name, known),
                "category": line.category,
                "quantity": line.quantity,
                "unit_price_minor": line.unit_price.amount_minor,
                "discount_minor": line.discount_minor,
                "tax_minor": line.tax_minor,
                "final_sale": line.final_sale,
            }
            for line in order.lines
        ],
        "prices_include_tax": all(line.tax_included for line in order.lines),
        "shipping": [
            {"name": one.name, "price_minor": one.price.amount_minor}
            for one in order.charges
            if one.kind == "shipping"
        ],
        "fees": [
            {"name": one.name, "amount_minor": one.price.amount_minor}
            for one in order.charges
            if one.kind == "fee"
        ],
        "discounts": [{"name": one.name, "amount_minor": one.amount.amount_minor} for one in order.discounts],
        "payments": payments,
    }
    if order.delivered_at is not None:
        line["delivered_days_ago"] = max(0, (at - order.delivered_at).days)
    return line


def keep(episode: Episode, file: Path) -> bool:
    """Add an episode to a set's file; False where it is there."""
    there = {one.name for one in read_episodes(file)} if file.exists() else set()
    if episode.name in there:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.write(canonical(episode_line(episode)) + "\n")
    return True
