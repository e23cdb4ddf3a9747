"""The world of an episode, where it misbehaves: a planner that fails, tools that do, a clock that can be moved."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from itertools import count

from evals.exam.episode import Episode, Fault
from graph.drafter import Draft, Worded
from graph.planner import DeterministicPlanner, PlanContext, Planner, PlannerView, PlanResult
from graph.services import GraphServices
from tools.gateway import Gateway, Ticks, ToolContext, ToolRequest, ToolResult

CLOCK = """
create table books.test_clock (shift interval not null);
alter table books.test_clock owner to books_owner;
create or replace function books.clock() returns timestamptz language plpgsql volatile security definer
set search_path = books, pg_temp as $$
begin
  return clock_timestamp() + coalesce((select sum(shift) from test_clock), interval '0');
end $$;
alter function books.clock() owner to books_owner;
"""
"""What makes the time of a database movable. A house that serves refuses to start on one."""

_STEP = (
    "insert into books.release_steps (release, seq, state, person, reason)"
    " values (%(name)s, 1, '{}', 'demo-operator', 'exam')"
)
NOTHING_LIVE = (
    "select set_config('books.tenant', '*', false)",
    "insert into books.releases"
    " (release, manifest, manifest_sha256, code, receipt, receipt_sha256, gate, entered_by)"
    " values (%(name)s, '{}', encode(sha256('{}'), 'hex'), 'exam', '{}', encode(sha256('{}'), 'hex'),"
    " 'eligible_for_shadow exact_receipt_pass', 'demo-operator')",
    _STEP.format("live"),
    _STEP.format("rolled_back"),
)
"""A house that keeps releases and has taken back the only one."""

HALF_A_SECOND = 0.5
FOR_EVER_SECONDS = 3_600.0
COSTLY_TOKENS = 400


def no_time() -> float:
    """Ticks of a clock that stands still: what an exam compares does not hang on a machine."""
    return 0.0


def slow_time() -> Ticks:
    """Ticks of a clock that is half a second on at every look."""
    ticks = count()
    return lambda: next(ticks) * HALF_A_SECOND


class Scripted:
    """A planner that says what it is told, then the last thing for ever."""

    def __init__(self, *requested_actions: object) -> None:
        self.requested_actions = requested_actions
        self.asked = 0

    async def next_action(self, view: PlannerView) -> object:
        del view
        requested = self.requested_actions[min(self.asked, len(self.requested_actions) - 1)]
        self.asked += 1
        return requested


class Failing:
    """A planner that never answers."""

    async def next_action(self, view: PlannerView) -> object:
        del view
        raise RuntimeError("the planner failed")


@dataclass(frozen=True, slots=True)
class Costly:
    """A planner that plans by the rules, and that costs something or refuses."""

    tokens: int = 0
    cost_micros: int = 0
    refuses: bool = False

    async def plan(self, view: PlannerView, plan_context: PlanContext) -> PlanResult:
        del plan_context
        if self.refuses:
            return PlanResult(None, handoff="model_unavailable")
        requested = await DeterministicPlanner().next_action(view)
        return PlanResult(requested, self.tokens, self.cost_micros)

    async def word(
        self, draft: Draft, asked_by: str, plan_context: PlanContext, watch: Callable[[str], Awaitable[None]]
    ) -> Worded:
        """Leaves the draft in the template's words."""
        del draft, asked_by, plan_context, watch
        return Worded(None)


@dataclass
class FaultyGateway(Gateway):
    """A gateway whose tools fail or hang."""

    broken: frozenset[str] = frozenset()
    slow: frozenset[str] = frozenset()

    async def _run(self, context: ToolContext, request: ToolRequest, step: int) -> ToolResult:
        kind = type(request).__name__
        if kind in self.broken:
            raise ConnectionError("the tool is broken")
        if kind in self.slow:
            await asyncio.sleep(FOR_EVER_SECONDS)
        return await super()._run(context, request, step)


@dataclass(frozen=True)
class FaultyServices(GraphServices):
    """Services whose tools fail or hang."""

    broken: frozenset[str] = frozenset()
    slow: frozenset[str] = frozenset()

    @property
    def gateway(self) -> Gateway:
        return FaultyGateway(
            self.books, self.ticks, self.orders, self.meaning, broken=self.broken, slow=self.slow
        )


def _planner_of(episode: Episode) -> Planner | None:
    """Who plans instead of the release's own planner, where somebody does."""
    if "the planner fails" in episode.given.faults:
        return Failing()
    return Scripted(*episode.given.requested_actions) if episode.given.requested_actions is not None else None


def _by_rule(services: GraphServices) -> GraphServices:
    """Services that ask no model: the planner is told what to say, or it prepares what an executor is given."""
    return replace(services, models=None)


def equipment(episode: Episode) -> Callable[[GraphServices], GraphServices]:
    """What makes services those of the episode's: struck by faults, or without models where it is told what to say."""
    struck = _struck(episode.given.faults)
    told = episode.given.requested_actions is not None or episode.given.executor
    ticks = slow_time() if "a step takes 500 ms" in episode.given.faults else no_time

    def equip(services: GraphServices) -> GraphServices:
        timed = replace(services, planner=_planner_of(episode) or services.planner, ticks=ticks)
        if struck is not None:
            return struck(timed)
        return _by_rule(timed) if told else timed

    return equip


def _struck(faults: Collection[Fault]) -> Callable[[GraphServices], GraphServices] | None:
    model_planner = _model_planner(faults)
    broken = {
        kind
        for fault, kind in (
            ("policy cannot be read", "GetPolicyEvidence"),
            ("orders cannot be read", "LookupOrder"),
        )
        if fault in faults
    }
    slow = {"LookupOrder"} if "orders answer slowly" in faults else set()
    if model_planner is None and not broken and not slow:
        return None

    def equip(services: GraphServices) -> GraphServices:
        struck = FaultyServices(
            books=services.books,
            manifest=services.manifest,
            intake_keys=services.intake_keys,
            planner=services.planner,
            ticks=services.ticks,
            orders=services.orders,
            models=services.models,
            meaning=services.meaning,
            spans=services.spans,
            mode=services.mode,
            models_for=services.models_for,
            broken=frozenset(broken),
            slow=frozenset(slow),
        )
        if model_planner is None:
            return struck
        from graph.model.models import Models  # noqa: PLC0415  (an exam without a model loads no model library)

        return replace(struck, models=Models(model_planner, model_planner, None, None, None, ()))

    return equip


def _model_planner(faults: Collection[Fault]) -> Costly | None:
    if "the model refuses" in faults:
        return Costly(refuses=True)
    if "a step costs 400 tokens" in faults:
        return Costly(tokens=COSTLY_TOKENS)
    return Costly(cost_micros=1) if "a step costs a micro" in faults else None
