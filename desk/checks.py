"""Checks: what the house looked at for a case, looked at again now, for who decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from policies.languages import DEFAULT
from records.books import Transaction
from records.cases import Case
from records.snapshots import Snapshot
from refunds.evidence import Citation
from refunds.money import Money
from refunds.order import OrderFacts, Payment
from refunds.proposal import Proposal


@dataclass(frozen=True, slots=True)
class DossierCitation:
    """A quoted clause, and whether its document is in force today."""

    citation: Citation
    title: str
    in_force: bool
    validity: str
    verbatim: bool
    """Whether the quote is what the books hold, to the letter."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something that was looked at, and what was found."""

    name: str
    passed: bool
    said: str


def payment_of(order: OrderFacts | None, proposal: Proposal) -> Payment | None:
    """The payment that a proposal goes back to; None where the order has none of its name."""
    if order is None:
        return None
    return next((paid for paid in order.payments if paid.payment_id == proposal.payment_id), None)


async def citation_now(tx: Transaction, citation: Citation, now: datetime) -> DossierCitation:
    """A citation with what the books say of its clause now."""
    row = await tx.row(
        "clause_now",
        document_id=citation.document_id,
        version=citation.version,
        clause=citation.clause,
        today=now.date(),
    )
    if row is None:
        return DossierCitation(
            citation, citation.document_id, in_force=False, validity="not in the books", verbatim=False
        )
    if row["in_force"]:
        validity = f"in force since {row['effective_on']:%Y-%m-%d}"
    elif row["status"] != "approved":
        validity = str(row["status"])
    elif row["newest"] is not None and row["newest"] != citation.version:
        validity = f"of its time; today version {row['newest']} is in force"
    else:
        validity = f"ended on {row['expires_on']:%Y-%m-%d}" if row["expires_on"] else "not in force today"
    return DossierCitation(
        citation, row["title"], bool(row["in_force"]), validity, row["quote"] == citation.quote
    )


def checks_of(
    case: Case,
    snapshot: Snapshot,
    order: OrderFacts | None,
    cited: Sequence[DossierCitation],
    *,
    gone_before: bool,
    language: str = DEFAULT,
) -> list[Check]:
    """What the house looked at for this case, looked at again now."""
    found = [
        Check("Intake signature", case.verdict == "verified", case.verdict.replace("_", " ")),
        Check(
            "Admitted by the bundle", case.route == "guarded_agent", f"{case.bundle_version}, {case.route}"
        ),
        Check("Kill switch", not snapshot.killed, "on: nothing is paid" if snapshot.killed else "off"),
    ]
    if order is not None:
        found.append(
            Check("The order adds up to what was paid", order.difference_minor == 0, balance(order, language))
        )
    current = snapshot.current
    if current is None:
        return found
    proposal = current.proposal
    if proposal.citations:
        whole = all(one.verbatim for one in cited)
        found.append(Check("Quotes stand in the policy", whole, f"{len(cited)}, to the letter"))
        lapsed = [one for one in cited if not one.in_force]
        found.append(
            Check(
                "Policy in force today",
                not lapsed,
                "all of it" if not lapsed else ", ".join(one.validity for one in lapsed),
            )
        )
    if proposal.kind == "refund":
        left = {one.payment_id: one.left for one in order.payments} if order else {}
        named = [leg.payment_id for leg in proposal.parts]
        paid = bool(named) and set(named) <= set(left)
        found.append(
            Check("Payment is of this customer's order", paid, " and ".join(map(str, named)) or "none")
        )
        enough = current.ordered or all(
            leg.payment_id in left and leg.amount <= left[leg.payment_id] for leg in proposal.parts
        )
        said = " and ".join(
            left[leg.payment_id].shown(language) if leg.payment_id in left else "unknown"
            for leg in proposal.parts
        )
        found.append(Check("Within what is left of the payment", enough, f"{said} left"))
        found.append(
            Check(
                "Not refunded before", not gone_before, "more than is left" if gone_before else "none of it"
            )
        )
        unsaid = order.unexplained if order and order.unexplained.amount_minor else None
        found.append(
            Check(
                "Earlier refunds say for what",
                not unsaid,
                f"{unsaid.shown(language)} went back, and nobody said for what" if unsaid else "all of them",
            )
        )
        disputed = order is not None and order.disputed
        found.append(
            Check("No dispute at the bank", not disputed, "one is open" if disputed else "none is open")
        )
        found.append(Check("Decided by a rule", bool(proposal.rule), proposal.rule or "written by a person"))
    return found


def balance(order: OrderFacts, language: str = DEFAULT) -> str:
    """How what was paid stands beside the sum of the items, in words."""
    difference = order.difference_minor
    if not order.payments:
        return "nothing was paid"
    if difference == 0:
        return "to the cent"
    amount = Money(abs(difference), order.currency)
    return f"{amount.shown(language)} {'more' if difference > 0 else 'less'} was paid than the order comes to"
