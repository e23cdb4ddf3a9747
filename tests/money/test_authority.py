"""Who may decide: enforced in the books, so that every way in meets the same wall."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import Stage

from app.house import home_private_key
from cashier.disbursement import disbursement_of
from cashier.verification import NotPayable, Payable, UnknownKey, ballot_of, verify_disbursement
from desk.decisions import Conflict, DecisionRequest, Desk
from desk.notes import BadDecision
from desk.people import NoAuthority, NotSignedIn, Person, sign_in
from policies.authority import may_approve, rule_of, rules_for
from records.books import Row, Transaction
from records.cases import Case
from records.money import CurrentProposal
from refunds.ids import DisbursementId, TenantId
from refunds.money import Currency, Money

USD = Currency("USD")
RULES = rules_for(TenantId("demo"), [USD])
LAPTOP = {
    "order_id": "D302",
    "customer_id": "C102",
    "question": "My laptop arrived broken. I want a refund, please.",
}
CAMERA = {
    "order_id": "D303",
    "customer_id": "C103",
    "question": "My camera arrived broken. I want a refund, please.",
}


@pytest.mark.parametrize(
    ("amount", "approvals", "specialists"),
    [(1, 1, 0), (49_999, 1, 0), (50_000, 1, 1), (199_999, 1, 1), (200_000, 2, 1), (10**9, 2, 1)],
)
def test_the_rule_of_an_amount_begins_exactly_at_its_floor(
    amount: int, approvals: int, specialists: int
) -> None:
    rule = rule_of(Money(amount, USD), RULES)
    assert rule is not None
    assert (rule.approvals, rule.specialists) == (approvals, specialists)


@given(amount=st.integers(min_value=0, max_value=10**9), currency=st.sampled_from(["EUR", "JPY", "SEK"]))
def test_a_currency_without_rules_can_be_approved_by_nobody(amount: int, currency: str) -> None:
    rule = rule_of(Money(amount, Currency(currency)), RULES)
    assert rule is None
    assert not may_approve("specialist", rule)


async def test_five_hundred_needs_a_specialist(stage: Stage) -> None:
    case, state = await stage.paused(**LAPTOP)
    proposal: Any = state["proposal"]
    assert proposal["amount_minor"] == 64_900
    with pytest.raises(NoAuthority, match="specialist"):
        await stage.say(case, DecisionRequest("approve"))
    assert await stage.count("votes") == 0
    assert (await stage.say(case, DecisionRequest("approve"), "demo-specialist")).decision is not None


async def test_two_thousand_needs_two_people_and_one_of_them_a_specialist(stage: Stage) -> None:
    case, _ = await stage.paused(**CAMERA)
    first = await stage.say(case, DecisionRequest("approve"))
    assert (first.decision, first.more_people) == (None, 1)
    with pytest.raises(Conflict, match="voted"):
        await stage.say(case, DecisionRequest("approve"))
    second = await stage.say(case, DecisionRequest("approve", note="fine"), "demo-reviewer-2")
    assert second.decision is None
    assert (await stage.house.state(case))["status"] == "needs_human"
    third = await stage.say(case, DecisionRequest("approve"), "demo-specialist")
    assert third.decision is not None
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "refunded"


async def test_the_cashier_counts_the_people_and_the_specialists_itself(stage: Stage) -> None:
    """Whatever the books took for enough: two reviewers are not a specialist, and one person twice is not two."""
    case, _ = await stage.paused(**CAMERA)
    await stage.say(case, DecisionRequest("approve"))
    await stage.say(case, DecisionRequest("approve"), "demo-specialist")
    assert (await stage.run(case))["status"] == "refund_pending"
    [decision_id] = await stage.decision_ids()
    executor = stage.house.executor
    order = await disbursement_of(executor.books, case.tenant, DisbursementId(decision_id))
    assert order is not None
    key = home_private_key(stage.house.home, "desk")

    def signed_again(vote: Row, **fields: object) -> Row:
        """The same vote with other words in it, by the house's own key."""
        changed = {**vote, **fields}
        payload = ballot_of(changed, ()).payload()
        return {**changed, "payload": payload, "signature": key.sign(payload)}

    def judged(*votes: Row) -> Payable | NotPayable | UnknownKey:
        return verify_disbursement(order.row, votes, executor.desk_keys)

    reviewer, specialist = sorted(order.votes, key=lambda vote: str(vote["authority"]))
    assert isinstance(judged(reviewer, specialist), Payable)
    assert isinstance(judged(signed_again(reviewer), signed_again(specialist)), Payable)
    few = NotPayable("blocked:not_approved")
    assert judged(reviewer, signed_again(specialist, authority="reviewer")) == few
    assert judged(specialist) == judged(reviewer) == few
    assert judged(specialist, signed_again(reviewer, person=specialist["person"])) == few


async def test_one_person_may_turn_down_what_two_must_approve(stage: Stage) -> None:
    case, _ = await stage.paused(**CAMERA)
    await stage.say(case, DecisionRequest("approve"), "demo-specialist")
    await stage.say(case, DecisionRequest("reject", "suspected_abuse"))
    await stage.finish()
    state = await stage.house.state(case)
    assert (state["status"], state["reason"]) == ("rejected", "suspected_abuse")
    assert stage.refunds() == 0


@pytest.mark.parametrize("who", ["demo-operator", "demo-auditor", "demo-helpdesk"])
async def test_who_has_no_vote_cannot_decide(stage: Stage, who: str) -> None:
    case, _ = await stage.paused()
    with pytest.raises(NoAuthority):
        await stage.say(case, DecisionRequest("approve"), who)


async def test_an_unknown_or_ended_token_signs_nobody_in(stage: Stage) -> None:
    with pytest.raises(NotSignedIn):
        await sign_in(stage.house.desk_books, "cs_unknown")
    await stage.sql("update books.tokens set expires_at = now() - interval '1 day'")
    with pytest.raises(NotSignedIn):
        await stage.person("demo-reviewer")


async def test_nobody_approves_a_case_they_submitted(stage: Stage) -> None:
    reviewer = await stage.person("demo-reviewer")
    case = await stage.submit()
    mine = await stage.house.intake.submit(
        case.ticket.model_copy(
            update={"ticket_id": "mine", "intake": None, "bundle_version": None, "route": None}
        ),
        reviewer,
    )
    await stage.run(mine)
    with pytest.raises(NoAuthority, match="submitted"):
        await stage.say(mine, DecisionRequest("approve"))
    await stage.say(mine, DecisionRequest("approve"), "demo-reviewer-2")


async def raised(stage: Stage, case: Case, amount: int, who: str = "demo-reviewer") -> None:
    await stage.say(case, DecisionRequest("revise", revised_amount_minor=amount), who)
    await stage.run(case)


async def test_a_revision_pays_nothing_and_makes_a_new_proposal(stage: Stage) -> None:
    case, before = await stage.paused()
    await raised(stage, case, 5_000)
    state = await stage.house.state(case)
    old: Any = before["proposal"]
    new: Any = state["proposal"]
    assert (state["status"], new["amount_minor"]) == ("needs_human", 5_000)
    assert new["digest"] != old["digest"]
    assert await stage.count("disbursements") == 0
    assert "$50.00" in str(state["draft"])
    person = await stage.person("demo-reviewer")
    with pytest.raises(Conflict):
        await stage.house.desk.decide(
            person, case.tenant, case.case_id, old["digest"], DecisionRequest("approve")
        )
    await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    assert [refund.amount.amount_minor for refund in stage.house.provider.all_refunds()] == [5_000]


async def test_who_raised_an_amount_cannot_approve_it_not_even_after_another_cut_it(stage: Stage) -> None:
    case, _ = await stage.paused()
    await raised(stage, case, 5_000)
    await raised(stage, case, 6_000)
    with pytest.raises(NoAuthority, match="raised"):
        await stage.say(case, DecisionRequest("approve"))
    await raised(stage, case, 5_900, "demo-reviewer-2")
    with pytest.raises(NoAuthority, match="raised"):
        await stage.say(case, DecisionRequest("approve"))
    await stage.say(case, DecisionRequest("approve"), "demo-specialist")


async def test_an_amount_above_what_is_left_or_below_zero_is_refused(stage: Stage) -> None:
    case, _ = await stage.paused()
    for amount in (7_901, -1, 10**12):
        with pytest.raises(BadDecision, match="amount"):
            await stage.say(case, DecisionRequest("revise", revised_amount_minor=amount))
    assert await stage.count("votes") == 0


async def test_a_reply_without_the_refund_is_a_revision_to_nothing(stage: Stage) -> None:
    case, _ = await stage.paused()
    await raised(stage, case, 0)
    state = await stage.house.state(case)
    proposal: Any = state["proposal"]
    assert (proposal["kind"], proposal["amount_minor"]) == ("reply", 0)
    await stage.say(case, DecisionRequest("approve"))
    await stage.finish()
    assert (await stage.house.state(case))["status"] == "replied"
    assert stage.refunds() == 0


async def test_a_stale_digest_is_a_conflict_that_names_who_and_when(stage: Stage) -> None:
    case, state = await stage.paused()
    proposal: Any = state["proposal"]
    await stage.say(case, DecisionRequest("reject", "wording"))
    person = await stage.person("demo-reviewer-2")
    with pytest.raises(Conflict, match=r"demo-reviewer said reject at 20\d\d-"):
        await stage.house.desk.decide(
            person, case.tenant, case.case_id, proposal["digest"], DecisionRequest("approve")
        )


async def test_the_desks_own_role_cannot_write_a_decision_that_the_votes_do_not_bear(stage: Stage) -> None:
    case, _ = await stage.paused(**CAMERA)
    await stage.say(case, DecisionRequest("approve"))
    row = (await stage.sql("select * from books.votes"))[0]
    names = [
        "tenant", "decision_id", "proposal_id", "case_id", "thread_id", "word", "digest", "kind", "payment_id",
        "order_id", "amount_minor", "currency", "decided_at", "execute_by",
    ]  # fmt: skip
    async with stage.house.desk_books.pool.connection() as connection, connection.transaction():
        await connection.execute("select set_config('books.tenant', 'demo', true)")
        with pytest.raises(Exception, match="no_authority"):
            await connection.execute(
                f"insert into books.decisions ({', '.join(names)}, decided_by)"
                f" values ({', '.join(['%s'] * len(names))}, %s)",
                [*(row[name] for name in names), row["person"]],
            )


class Careless(Desk):
    """A desk that checks nothing itself."""

    async def _check(
        self, tx: Transaction, person: Person, case: Case, current: CurrentProposal, word: DecisionRequest
    ) -> None:
        del tx, person, case, current, word


@pytest.mark.parametrize("why", ["specialist", "submitted", "raised", "member"])
async def test_postgres_itself_holds_the_authority_when_a_desk_checks_nothing(stage: Stage, why: str) -> None:
    desk = Careless(stage.house.desk_books, stage.house.desk.key)
    who = await stage.person("demo-reviewer")
    match why:
        case "specialist":
            case, _ = await stage.paused(**LAPTOP)
        case "submitted":
            raw = (await stage.submit()).ticket.model_copy(
                update={"ticket_id": "mine", "intake": None, "bundle_version": None, "route": None}
            )
            case = await stage.house.intake.submit(raw, who)
            await stage.run(case)
        case "raised":
            case, _ = await stage.paused()
            await raised(stage, case, 5_000)
            await raised(stage, case, 6_000)
        case _:
            case, _ = await stage.paused()
            await stage.sql("delete from books.memberships where person = 'demo-reviewer'")
    proposal: Any = (await stage.house.state(case))["proposal"]
    votes = await stage.count("votes")
    with pytest.raises(NoAuthority):
        await desk.decide(who, case.tenant, case.case_id, proposal["digest"], DecisionRequest("approve"))
    assert await stage.count("votes") == votes
    assert await stage.sql("select 1 as n from books.decisions where word = 'approve'") == []
