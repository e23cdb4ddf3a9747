"""A walk through the autonomous part: the same nodes by the same commands, without a superstep for each.

Nothing of that part is checkpointed, so where only the pause is saved its supersteps save nothing and cost most of
a case. Where every step is saved and shown, the part runs as the subgraph that it is.
"""

import asyncio
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphRecursionError
from langgraph.graph import END
from langgraph.types import Command

from graph.case_agent import CaseAgent
from graph.state import AgentState

STEPS = 64
"""Above any budget of steps: an agent that walks further is broken."""


async def walk(agent: CaseAgent, case_id: str | None, config: RunnableConfig) -> dict[str, Any]:
    """What the part shows in the end; its own bookkeeping stays in it."""
    nodes = agent.nodes()
    state: dict[str, Any] = {"case_id": case_id}
    at: object = "plan"
    for _ in range(STEPS):
        if at == END:
            state.pop("run", None)
            return state
        if isinstance(at, list):
            # Two reads that need nothing of one another; both go on to the same node.
            both = await asyncio.gather(
                *(nodes[str(name)](cast("AgentState", dict(state)), config) for name in at)
            )
            said = both[0]
        else:
            said = await nodes[str(at)](cast("AgentState", state), config)
        if isinstance(said, Command):
            state |= cast("dict[str, Any]", said.update or {})
            at = said.goto
        else:
            state |= said
            at = END
    raise GraphRecursionError(f"the agent walked {STEPS} steps")
