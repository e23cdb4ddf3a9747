"""The graph of the architecture, on one screen.

    START → admission ─┬─ bypassed → close
                       └─ case_agent ─┬─ blocked → close
                                      └─ approval ⏸ → refund → settlement ⏸ → close

The names of nodes are for ever: a thread that is paused at one resumes at it.
"""

from functools import cache
from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph._internal._constants import CONFIG_KEY_DURABILITY
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from graph.admission import Admission
from graph.patience import WATCHED_SECONDS, Patience
from graph.releases import Releases
from graph.services import GraphServices, the_services
from graph.settling import Settling
from graph.snapshot import snapshot_of, thread_of
from graph.state import CaseState, Input, Output
from graph.walk import walk
from graph.watching import streamed
from policies.transitions import CaseFacts, cross

RefundGraph = CompiledStateGraph[CaseState, None, Input, Output]


def after_agent_of(now: CaseFacts) -> Literal["approval", "close"]:
    """Where a case goes from the autonomous part."""
    return "close" if now.blocked or now.bypassed else "approval"


@cache
def refund_agent() -> RefundGraph:
    """The graph as a server mounts it: one a process, compiled without a checkpointer, which the server brings.

    Whoever answers there watches the run of their answer, so it stays with a provider that is quick.
    """
    return refund_graph(the_services(), patience=Patience(seconds=WATCHED_SECONDS))


def refund_graph(
    services: GraphServices,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    releases: Releases | None = None,
    patience: Patience | None = None,
) -> RefundGraph:
    """The compiled graph; without a checkpointer for a server, which brings its own."""
    releases = releases or Releases.of(services)
    admission = Admission(services.books, services.manifest, services.intake_keys, releases, services.mode)
    settling = Settling(services.books, services.manifest, patience or Patience())

    async def run_agent(state: CaseState, config: RunnableConfig) -> dict[str, Any]:
        with streamed():
            return await run_part(state, config)

    async def run_part(state: CaseState, config: RunnableConfig) -> dict[str, Any]:
        snapshot = await snapshot_of(services.books, thread_of(config))
        agent = await releases.agent_for(snapshot) if snapshot is not None else releases.own
        if config["configurable"].get(CONFIG_KEY_DURABILITY) == "exit":
            return await walk(agent, state.get("case_id"), config)
        # `sync` is handed down to a subgraph, and one without a checkpointer fails when it waits for it.
        unsaved: RunnableConfig = {
            **config,
            "configurable": {**config["configurable"], CONFIG_KEY_DURABILITY: "exit"},
        }
        return await releases.part_of(agent).ainvoke({"case_id": state.get("case_id")}, unsaved)

    async def after_agent(state: CaseState, config: RunnableConfig) -> str:
        del state
        snapshot = await snapshot_of(services.books, thread_of(config))
        if snapshot is None:
            return END
        target = after_agent_of(snapshot.facts)
        cross("case_agent", target, snapshot.facts)
        return target

    builder = StateGraph(CaseState, input_schema=Input, output_schema=Output)
    around = services.spans.around
    builder.add_node("admission", around("admission", admission.node, "guardrail"))
    builder.add_node("case_agent", around("case_agent", run_agent, "agent"))
    builder.add_node("approval", around("approval", settling.approval))
    builder.add_node("refund", around("refund", settling.refund))
    builder.add_node("settlement", around("settlement", settling.settlement))
    builder.add_node("close", around("close", settling.close))
    builder.add_edge(START, "admission")
    builder.add_conditional_edges("case_agent", after_agent, ["approval", "close", END])
    builder.add_edge("close", END)
    graph = builder.compile(checkpointer=checkpointer, name="refund_agent")
    # A part without checkpoints is left out of drawings unless it is named as one.
    graph.nodes["case_agent"].subgraphs = [releases.part_of(releases.own)]
    return graph
