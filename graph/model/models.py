"""The models of a process: the planner and the drafter that the manifest names, with their connections."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graph.drafter import Writer
from graph.evidence_reader import EvidenceReader
from graph.model.asking import Asking
from graph.model.critic import ModelCritic
from graph.model.drafter import ModelDrafter
from graph.model.embedding import Embedding
from graph.model.endpoint import Endpoint
from graph.model.evidence_cache import CachedEvidenceReader
from graph.model.evidence_reader import ModelEvidenceReader
from graph.model.moderation import ByEndpoint, ByRule, Moderator
from graph.model.planner import ModelPlanner
from graph.model.providers import endpoint_line, read_providers
from graph.model.reader import ModelReader
from graph.model.summarizer import ModelSummarizer
from graph.planner import ContextPlanner
from graph.second_reader import SecondReader
from graph.settings import GraphSettings
from graph.summarizer import Summarizer
from graph.tracing import Spans
from policies.manifest import Manifest, ModelRoute
from policies.prompts import PromptName
from records.books import Books


@dataclass(frozen=True)
class Models:
    """Who plans, who writes, who reads beside the trained reader, who reads the policy, who sums up."""

    model_planner: ContextPlanner
    writer: Writer
    second_reader: SecondReader | None
    evidence_reader: EvidenceReader | None
    summarizer: Summarizer | None
    endpoints: Sequence[Endpoint | ByEndpoint]

    async def close(self) -> None:
        """Close every connection."""
        for endpoint in self.endpoints:
            await endpoint.close()


def models_of(
    settings: GraphSettings,
    manifest: Manifest,
    books: Books,
    spans: Spans,
    environment: Mapping[str, str] = os.environ,
) -> Models:
    """The models of a manifest, each with key and price. Raises BadProvider where one cannot be used."""
    providers = read_providers(settings.providers, environment)
    endpoints: dict[str, Endpoint] = {}

    def asking(feature: PromptName) -> Asking:
        named: list[Endpoint] = []
        for route in manifest.models[feature]:
            if route.endpoint not in endpoints:
                endpoints[route.endpoint] = Endpoint(endpoint_line(route, providers, environment))
            named.append(endpoints[route.endpoint])
        return Asking(books, named, manifest.prompt(feature), manifest.spend_limits(), spans)

    planner, drafter = asking("plan"), asking("draft")
    second = ModelReader(asking("read")) if "read" in manifest.models else None
    cited = CachedEvidenceReader(ModelEvidenceReader(asking("cite"))) if "cite" in manifest.models else None
    critic = ModelCritic(asking("critique")) if "critique" in manifest.models else None
    older = ModelSummarizer(asking("summarize")) if "summarize" in manifest.models else None
    moderator: Moderator = ByRule()
    opened: list[Endpoint | ByEndpoint] = list(endpoints.values())
    if settings.moderation_model:
        by_endpoint = ByEndpoint(drafter.endpoints[0].served, settings.moderation_model)
        opened.append(by_endpoint)
        moderator = by_endpoint
    return Models(
        ModelPlanner(planner), ModelDrafter(drafter, moderator, critic), second, cited, older, opened
    )


def embedding_of(
    settings: GraphSettings,
    model: str,
    manifest: Manifest,
    books: Books,
    environment: Mapping[str, str] = os.environ,
) -> Embedding:
    """The embedding model that the settings name. Raises BadProvider."""
    providers = read_providers(settings.providers, environment)
    route = ModelRoute(provider=settings.embedding_provider, model=model)
    return Embedding(
        endpoint_line(route, providers, environment), manifest, books, settings.embedding_question_model
    )
