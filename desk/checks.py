"""Checks: what the house looked at for a case, looked at again now, for who decides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from desk.catalogue import _, shown_value
from desk.plain_words import plain_word
from records.books import Transaction
from records.cases import Case
from records.money import CurrentProposal
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
            citation, citation.document_id, in_force=False, validity=_("not in the books"), verbatim=False
        )
    if row["in_force"]:
        validity = _("in force since %(day)s", day=row["effective_on"])
    elif row["status"] != "approved":
        validity = plain_word(str(row["status"]))
    elif row["newest"] is not None and row["newest"] != citation.version:
        validity = _("of its time; today version %(version)s is in force", version=row["newest"])
    else:
        ended = row["expires_on"]
        validity = _("ended on %(day)s", day=ended) if ended else _("not in force today")
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
) -> list[Check]:
    """What the house looked at for this case, looked at again now."""
    found = [
        Check(_("Intake signature"), case.verdict == "verified", plain_word(case.verdict)),
        Check(
            _("Admitted by the bundle"),
            case.route == "guarded_agent",
            f"{case.bundle_version}, {plain_word(case.route)}",
        ),
        Check(
            _("Kill switch"), not snapshot.killed, _("on: nothing is paid") if snapshot.killed else _("off")
        ),
    ]
    if order is not None:
        found.append(
            Check(_("The order adds up to what was paid"), order.difference_minor == 0, balance(order))
        )
        said = _("one is open") if order.disputed else _("none is open")
        found.append(Check(_("No dispute at the bank"), not order.disputed, said))
    current = snapshot.current
    if current is None:
        return found
    proposal = current.proposal
    if proposal.citations:
        whole = all(one.verbatim for one in cited)
        found.append(
            Check(_("Quotes stand in the policy"), whole, _("%(count)s, to the letter", count=len(cited)))
        )
        lapsed = [one for one in cited if not one.in_force]
        said = ", ".join(one.validity for one in lapsed) if lapsed else _("all of it")
        found.append(Check(_("Policy in force today"), not lapsed, said))
    if proposal.kind == "refund":
        found += _of_money(current, order, gone_before=gone_before)
    return found


def _of_money(current: CurrentProposal, order: OrderFacts | None, *, gone_before: bool) -> Iterator[Check]:
    """What was looked at before money goes back."""
    proposal = current.proposal
    left = {one.payment_id: one.left for one in order.payments} if order else {}
    named = [leg.payment_id for leg in proposal.parts]
    paid = bool(named) and set(named) <= set(left)
    joined = _(" and ")
    yield Check(_("Payment is of this customer's order"), paid, joined.join(map(str, named)) or _("none"))
    enough = current.ordered or all(
        leg.payment_id in left and leg.amount <= left[leg.payment_id] for leg in proposal.parts
    )
    said = joined.join(
        str(shown_value(left[leg.payment_id])) if leg.payment_id in left else _("unknown")
        for leg in proposal.parts
    )
    yield Check(_("Within what is left of the payment"), enough, _("%(amount)s left", amount=said))
    yield Check(
        _("Not refunded before"), not gone_before, _("more than is left") if gone_before else _("none of it")
    )
    unsaid = order.unexplained if order and order.unexplained.amount_minor else None
    yield Check(
        _("Earlier refunds say for what"),
        not unsaid,
        _("%(amount)s went back, and nobody said for what", amount=unsaid) if unsaid else _("all of them"),
    )
    yield Check(_("Decided by a rule"), bool(proposal.rule), proposal.rule or _("written by a person"))


def balance(order: OrderFacts) -> str:
    """How what was paid stands beside the sum of the items, in words."""
    difference = order.difference_minor
    if not order.payments:
        return _("nothing was paid")
    if difference == 0:
        return _("to the cent")
    amount = Money(abs(difference), order.currency)
    if difference > 0:
        return _("%(amount)s more was paid than the order comes to", amount=amount)
    return _("%(amount)s less was paid than the order comes to", amount=amount)
