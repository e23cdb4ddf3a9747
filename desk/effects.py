"""Effects: in one sentence what Approve would do, and why a person's yes would not count."""

from collections.abc import Sequence

from desk.catalogue import _, counted_text
from desk.decisions import claimed_by
from desk.people import Person
from policies.authority import AuthorityRule, highest_authority, may_approve
from records.books import Row
from records.money import CurrentProposal
from refunds.ids import TenantId
from refunds.order import OrderFacts, method_as_said
from refunds.proposal import Proposal


def effect_of(
    current: CurrentProposal | None,
    order: OrderFacts | None,
    rule: AuthorityRule | None,
    votes: Sequence[Row] = (),
    *,
    killed: bool = False,
) -> str:
    """One sentence that says what Approve will do; empty where there is nothing to approve."""
    if current is None or current.decision is not None:
        return ""
    proposal = current.proposal
    if proposal.kind == "handoff":
        return _("Nothing is proposed: reply, propose a refund, or close it without a word.")
    yes = sum(vote["word"] == "approve" for vote in votes)
    missing = rule.approvals - yes if rule else 0
    more = ""
    if missing > 1:
        more = counted_text(
            "It is one of %(count)s approval that is needed.",
            "It is one of %(count)s approvals that are needed.",
            missing,
        )
        if rule and rule.specialists:
            more = _(
                "It is one of %(count)s approvals that are needed, %(of)s of them a specialist's.",
                count=missing,
                of=rule.specialists,
            )
    does = _does(proposal, order)
    if proposal.kind == "refund" and killed:
        stopped = _("The kill switch is on: nothing is paid until it is lifted.")
        more = f"{more} {stopped}".strip()
    return f"{does} {more}".strip()


def _does(proposal: Proposal, order: OrderFacts | None) -> str:
    if proposal.kind == "reply":
        if proposal.question:
            return _("Approve sends this question and keeps the case open for the answer.")
        return _("Approve sends this reply and returns no money.")
    where = _where(proposal, order)
    if proposal.goods_first:
        return _(
            "Approve sends this reply and returns %(where)s, once, when the goods have come back as they were sold.",
            where=where,
        )
    return _("Approve sends this reply and returns %(where)s, once.", where=where)


def _where(proposal: Proposal, order: OrderFacts | None) -> str:
    """What goes back, and to what was paid with: `$79.00 to card …4242`; each where it is several."""
    methods = {paid.payment_id: method_as_said(paid.method) for paid in order.payments} if order else {}
    parts = [
        _(
            "%(amount)s to %(method)s",
            amount=leg.amount,
            method=methods.get(leg.payment_id) or _("payment %(id)s", id=leg.payment_id),
        )
        for leg in proposal.parts
    ]
    if len(parts) == 1:
        return parts[0]
    return _("%(amount)s: %(parts)s", amount=proposal.amount, parts=_(" and ").join(parts))


def may_say_yes(
    person: Person,
    tenant: TenantId,
    *,
    current: CurrentProposal | None,
    deciding: bool,
    submitted_by: str,
    claim: Row | None,
    rule: AuthorityRule | None,
    proposals: Sequence[Row],
    takeovers: Sequence[Row],
    votes: Sequence[Row],
    raised_by: frozenset[str],
) -> str:
    """Why this person's approval does not count; empty where it does."""
    if not deciding or current is None:
        return _("there is nothing to approve")
    authority = highest_authority(person.roles_in(tenant))
    if authority is None:
        return _("you may look and not decide")
    if claim is not None and claim["person"] != person.person:
        return claimed_by(claim)
    if submitted_by == person.person:
        return _("nobody decides a case they submitted")
    if any(row["edited_upward"] and row["edited_by"] == person.person for row in proposals):
        return _("nobody approves an amount they raised")
    if any(row["act"] == "propose" and row["person"] == person.person for row in takeovers):
        return _("nobody approves what they wrote")
    if person.person in raised_by:
        return _("nobody approves money that their own reading has raised")
    if any(vote["person"] == person.person for vote in votes):
        return _("you have voted: somebody else must agree")
    if not may_approve(authority, rule):
        return _("%(amount)s needs a specialist", amount=current.proposal.amount)
    return ""
