"""Every edge passes its validator: whatever a node decides by mistake, an edge whose facts do not hold is not crossed.

Each law puts a mistake where the node decides, in a case for which the edge must not hold, and takes the validator away
again: without it, and it alone, the wrong edge is crossed.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, get_args

import pytest
from conftest import Stages
from stage import Stage

from desk.decisions import DecisionRequest
from graph import admission, refund_graph, settling
from graph.admission import Admission
from graph.granting import grant
from graph.releases import Releases
from graph.run import AgentRun, StepCost
from graph.settling import Settling
from graph.snapshot import read_snapshot
from policies import transitions
from policies.admission import BypassAgent, RunAgent
from policies.transitions import AGENT_EDGES, HOUSE_EDGES, CaseFacts, InvalidTransition, Validator
from records.cases import Case
from records.money import Settled
from refunds.vocabulary import ProposalKind, SettlementOutcome, VoteWord
from tools.gateway import ToolContext

EDGES = sorted(HOUSE_EDGES)
FEW_STEPS = 12
"""Enough to cross an edge; what goes in a circle behind a wrong one ends soon."""

Story = Callable[[Stage], Awaitable[Case]]


async def submitted(stage: Stage) -> Case:
    return await stage.submit()


async def turned_away(stage: Stage) -> Case:
    case = await stage.submit(question="My tablet caught fire and I was burned. My lawyer will call.")
    assert (await stage.run(case))["status"] == "bypassed"
    return case


async def undecided(stage: Stage) -> Case:
    return (await stage.paused())[0]


async def approved(stage: Stage) -> Case:
    return await stage.approved()


async def rejected(stage: Stage) -> Case:
    case = await undecided(stage)
    await stage.say(case, DecisionRequest("reject", "other"))
    return case


async def ordered(stage: Stage) -> Case:
    return await stage.ordered()


async def settled(stage: Stage) -> Case:
    case = await stage.ordered()
    await stage.house.executor.settle_all()
    return case


@dataclass(frozen=True)
class Mistake:
    """A case for which an edge must not hold, and what makes the node before it choose that edge all the same."""

    story: Story
    of: object
    name: str
    wrong: Callable[..., Any]


def says(value: Any) -> Callable[..., Any]:
    def said(*_: object, **__: object) -> Any:
        return value

    return said


def answers(value: Any) -> Callable[..., Any]:
    async def answered(*_: object, **__: object) -> Any:
        return value

    return answered


def chooses(target: str, story: Story) -> Mistake:
    return Mistake(story, settling, "_after_approval", says(target))


def settles(target: str, story: Story) -> Mistake:
    return Mistake(story, settling, "_after_settlement", says(target))


def orders(result: str, story: Story) -> Mistake:
    return Mistake(story, settling, "order_refund", answers(result))


MISTAKES: dict[tuple[str, str], Mistake] = {
    ("admission", "case_agent"): Mistake(turned_away, admission, "admit", says(RunAgent())),
    ("admission", "close"): Mistake(submitted, admission, "write_event", answers(None)),
    ("case_agent", "approval"): Mistake(submitted, refund_graph, "walk", answers({})),
    ("case_agent", "close"): Mistake(submitted, refund_graph, "after_agent_of", says("close")),
    ("approval", "approval"): chooses("approval", approved),
    ("approval", "case_agent"): chooses("case_agent", approved),
    ("approval", "refund"): chooses("refund", rejected),
    ("approval", "close"): chooses("close", approved),
    ("refund", "settlement"): orders("refund_created", approved),
    ("refund", "approval"): orders("blocked:expired", ordered),
    ("refund", "close"): orders("blocked:over_refund", ordered),
    ("settlement", "settlement"): settles("settlement", settled),
    ("settlement", "refund"): settles("refund", ordered),
    ("settlement", "approval"): settles("approval", ordered),
    ("settlement", "close"): settles("close", ordered),
}


async def step(stage: Stage, case: Case, node: str) -> str:
    """One node of the house on a case, as the graph runs it; where it goes."""
    services = stage.house.driver.services
    graph: Any = stage.house.driver.graph
    config: Any = {"configurable": {"thread_id": str(case.thread_id)}, "recursion_limit": FEW_STEPS}
    if node == "case_agent":
        await graph.ainvoke({"ticket": None}, config, durability="exit")
        return "crossed"
    nodes = Settling(services.books, services.manifest)
    if node == "admission":
        part = Admission(
            services.books, services.manifest, services.intake_keys, Releases.of(services), services.mode
        )
        return str((await part.node({}, config)).goto)
    run: Callable[..., Awaitable[Any]] = getattr(nodes, node)
    return str((await run({}, config)).goto)


def test_every_edge_has_its_mistake() -> None:
    assert set(MISTAKES) == set(HOUSE_EDGES)


@pytest.mark.parametrize("edge", EDGES, ids="-".join)
async def test_an_edge_that_does_not_hold_is_not_crossed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, edge: tuple[str, str]
) -> None:
    mistake = MISTAKES[edge]
    case = await mistake.story(stage)
    if edge == ("admission", "close"):
        monkeypatch.setattr(admission, "admit", says(BypassAgent("unsigned_intake")))
    monkeypatch.setattr(settling, "interrupt", says(None))
    monkeypatch.setattr(mistake.of, mistake.name, mistake.wrong)
    before = await stage.sql("select count(*) as n from books.case_events")
    with pytest.raises(InvalidTransition) as refused:
        await step(stage, case, edge[0])
    assert refused.value.name == HOUSE_EDGES[edge].name
    assert str(refused.value).startswith(f"{edge[0]} -> {edge[1]}")
    if edge[0] != "case_agent":
        assert await stage.sql("select count(*) as n from books.case_events") == before


@pytest.mark.parametrize("edge", EDGES, ids="-".join)
async def test_without_its_validator_and_it_alone_the_wrong_edge_is_crossed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, edge: tuple[str, str]
) -> None:
    mistake = MISTAKES[edge]
    case = await mistake.story(stage)
    if edge == ("admission", "close"):
        monkeypatch.setattr(admission, "admit", says(BypassAgent("unsigned_intake")))
    monkeypatch.setattr(settling, "interrupt", says(None))
    monkeypatch.setattr(mistake.of, mistake.name, mistake.wrong)
    monkeypatch.setitem(transitions.HOUSE_EDGES, edge, Validator("nothing", says(True)))
    try:
        went = await step(stage, case, edge[0])
    except InvalidTransition:
        raise
    except Exception:  # noqa: BLE001  (what comes behind a wrong edge may break; it was crossed)
        return
    assert went in {edge[1], "crossed"}


ON_AN_APPROVED_REFUND = {
    ("approval", "refund"): CaseFacts(),
    ("refund", "settlement"): CaseFacts(ordered=True),
    ("refund", "close"): CaseFacts(),
    ("settlement", "refund"): CaseFacts(),
    ("settlement", "settlement"): CaseFacts(ordered=True),
}
"""The edges on the way of money, with what else they require."""


@pytest.mark.parametrize("edge", list(ON_AN_APPROVED_REFUND), ids="-".join)
def test_the_way_of_money_is_open_to_an_approved_refund_alone(edge: tuple[str, str]) -> None:
    facts, holds = ON_AN_APPROVED_REFUND[edge], HOUSE_EDGES[edge].holds
    for word in (None, *get_args(VoteWord)):
        for kind in (None, *get_args(ProposalKind)):
            wanted = word == "approve" and (kind == "refund" or edge == ("settlement", "settlement"))
            assert holds(replace(facts, word=word, kind=kind)) is wanted, (word, kind)


async def test_only_an_approval_that_was_never_sent_in_time_lapses(stage: Stage) -> None:
    """Broken? What a person took back, or what was sent, would be proposed again when its time is over."""
    case = await stage.ordered()
    snapshot = await read_snapshot(stage.house.driver.services.books, case)
    current = snapshot.current
    assert current is not None
    for outcome in get_args(SettlementOutcome):
        for detail in ("blocked:expired", "blocked:kill_switch", "withdrawn by a person", ""):
            settled = Settled(outcome, detail, None, snapshot.now)
            late = replace(snapshot, current=replace(current, past_paying=True, settled=settled))
            assert late.facts.lapsed == ((outcome, detail) == ("refused", "blocked:expired")), (
                outcome,
                detail,
            )
            in_time = replace(snapshot, current=replace(current, past_paying=False, settled=settled))
            assert not in_time.facts.lapsed


async def a_run(stage: Stage, **have: Any) -> AgentRun:
    """A run of the agent that has this in hand."""
    case = await stage.submit()
    snapshot = await read_snapshot(stage.house.driver.services.books, case)
    context = ToolContext(
        case.tenant, case.case_id, case.customer_id, case.order_id, "US", case.received_at.date(), "none"
    )
    return replace(AgentRun(snapshot, context, admitted=True), **have)


REQUESTED_ACTIONS: dict[str, tuple[dict[str, object], dict[str, Any], str]] = {
    "evidence": (
        {"action": "get_policy_evidence", "arguments": {"question": "?"}},
        {"admitted": False},
        "evidence_requires_admission",
    ),
    "order": (
        {"action": "lookup_order", "arguments": {"order_id": "D300"}},
        {"admitted": False},
        "order_requires_admission",
    ),
    "draft": (
        {"action": "draft_reply", "arguments": {}},
        {"order": object()},
        "draft_requires_approved_evidence",
    ),
    "draft without an order": (
        {"action": "draft_reply", "arguments": {}},
        {"evidence": object()},
        "draft_requires_order",
    ),
    "propose": (
        {"action": "request_human_approval", "arguments": {"reason": "draft_ready_for_review"}},
        {},
        "review_requires_draft",
    ),
}


def test_every_edge_of_the_agent_has_its_wish() -> None:
    named = {validator.name for validators in AGENT_EDGES.values() for validator in validators}
    assert {name for _, _, name in REQUESTED_ACTIONS.values()} == named


@pytest.mark.parametrize("requested", list(REQUESTED_ACTIONS))
async def test_a_wish_whose_edge_does_not_hold_is_blocked_and_runs_without_its_validator(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, requested: str
) -> None:
    asked, have, name = REQUESTED_ACTIONS[requested]
    run = await a_run(stage, **have)
    assert tuple(grant(run, asked, StepCost(), 4)) == ("block",)
    assert (run.blocked, run.trace[-1].result) == ("invalid_state_transition", name)
    edge = ("plan", requested.split(" ", maxsplit=1)[0])
    others = tuple(one for one in AGENT_EDGES[edge] if one.name != name)
    monkeypatch.setitem(transitions.AGENT_EDGES, edge, others)
    again = await a_run(stage, **have)
    assert tuple(grant(again, asked, StepCost(), 4)) == (edge[1],)


async def test_two_reads_at_once_pass_both_their_edges(stage: Stage) -> None:
    both = [REQUESTED_ACTIONS["evidence"][0], REQUESTED_ACTIONS["order"][0]]
    assert tuple(grant(await a_run(stage), both, StepCost(), 4)) == ("evidence", "order")
    refused = await a_run(stage, admitted=False)
    assert tuple(grant(refused, both, StepCost(), 4)) == ("block",)
    assert refused.trace[-1].result == "evidence_requires_admission"


@pytest.mark.parametrize("durability", ["exit", "sync"])
@pytest.mark.parametrize("node", ["refund", "settlement", "approval", "case_agent"])
async def test_a_forced_jump_crosses_nothing(stages: Stages, durability: Any, node: str) -> None:
    """Whoever sends a paused thread to another node finds what the books say: no order, no event, the same pause."""
    from langgraph.types import Command

    async with stages(durability=durability) as stage:
        case = await undecided(stage)
        config: Any = {"configurable": {"thread_id": str(case.thread_id)}}
        before = (await stage.count("case_events"), await stage.count("proposals"))
        await stage.house.driver.graph.ainvoke(Command(goto=node), config, durability=durability)
        assert (await stage.count("disbursements"), stage.refunds()) == (0, 0)
        assert (await stage.count("case_events"), await stage.count("proposals")) == before
        assert (await stage.house.state(case))["status"] == "needs_human"
