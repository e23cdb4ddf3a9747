"""The releases that a process works under: for each case the agent of the release that it is bound to.

While no release is kept there is one agent, that of the manifest the process was started with. From then on the books
say: a manifest of theirs is made into an agent when the first case needs it. One that this program cannot be, because
its prompts, tools or policy are others or its models are not to be had, takes no case here: it is handed over.
"""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import Any

from langgraph.graph.state import CompiledStateGraph

from graph.case_agent import CaseAgent, case_agent
from graph.services import GraphServices
from graph.settings import BadProvider
from graph.snapshot import CaseSnapshot
from policies.manifest import Manifest, ManifestMismatch, check_manifest
from policies.rollout import assigned
from records.releases import EVERYBODY, release_of
from refunds.canonical import canonical
from refunds.ids import CustomerId, TenantId
from refunds.release import ReleaseStage

log = logging.getLogger("countersign.graph")

Part = CompiledStateGraph[Any, None, Any, Any]


@dataclass
class Releases:
    """The agents of one process, by release."""

    services: GraphServices
    own: CaseAgent
    """Of the manifest that the process was started with."""

    holding: CaseAgent
    """Hands over whatever comes, while no release may take it."""

    agents: dict[str, CaseAgent] = field(default_factory=dict)
    parts: dict[int, Part] = field(default_factory=dict)

    @classmethod
    def of(cls, services: GraphServices) -> "Releases":
        own = agent_of(services)
        return cls(services, own, replace(own, held=True))

    async def agent_for(self, snapshot: CaseSnapshot) -> CaseAgent:
        """The agent that a case goes on under; one that holds every case where none may take it."""
        if not snapshot.keeps_releases:
            return self.own
        if snapshot.release is None:
            return self.holding
        agent = await self.agent_named(snapshot.release)
        return agent if agent is not None else self.holding

    async def agent_named(self, name: str) -> CaseAgent | None:
        """The agent of a release of the books; None where it is not there or this program cannot be it."""
        if name not in self.agents:
            try:
                made = await self._made(name)
            except (ManifestMismatch, BadProvider) as error:
                log.error("release %s takes no case in this process: %s", name, error)  # noqa: TRY400
                return None
            if made is None:
                return None
            self.agents[name] = made
        return self.agents[name]

    async def _made(self, name: str) -> CaseAgent | None:
        found = await release_of(self.services.books.reading(EVERYBODY), name)
        if found is None:
            return None
        if found.manifest == canonical(self.services.manifest.model_dump(mode="json")):
            return self.own
        # Prompts, corpus and providers are files: nobody waits for a disk on the server's loop.
        return await asyncio.to_thread(self._agent_of, found.manifest)

    def _agent_of(self, text: str) -> CaseAgent:
        pinned = check_manifest(Manifest.read(text))
        models = self.services.models_for(pinned) if pinned.planner == "model" else None
        if models is not None:
            self.services.made.append(models)
        return agent_of(replace(self.services, manifest=pinned, models=models), self.own)

    def part_of(self, agent: CaseAgent) -> Part:
        """The agent as the subgraph that it is; made once."""
        if id(agent) not in self.parts:
            self.parts[id(agent)] = case_agent(agent).compile(checkpointer=False, name="case_agent")
        return self.parts[id(agent)]

    def taker(self, release_stages: list[ReleaseStage], tenant: TenantId, customer: CustomerId) -> str:
        """The release that a new case is bound to."""
        return assigned(release_stages, tenant, customer, self.own.manifest.agent_version)


def agent_of(services: GraphServices, like: CaseAgent | None = None) -> CaseAgent:
    """The agent that these services work for; with the tools of others where they work in the same process."""
    return CaseAgent(
        services.books,
        services.planner,
        services.manifest,
        like.gateway if like else services.gateway,
        services.ticks,
        model_planner=services.models.model_planner if services.models else None,
        writer=services.models.writer if services.models else None,
        second_reader=services.models.second_reader if services.models else None,
        evidence_reader=services.models.evidence_reader if services.models else None,
        summarizer=services.models.summarizer if services.models else None,
        spans=services.spans,
    )
