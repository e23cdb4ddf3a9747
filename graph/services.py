"""Services: what the graph of a process works with, made once from the process's settings."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from graph.planner import DeterministicPlanner, Planner
from graph.settings import BadProvider, GraphSettings
from graph.tracing import Spans
from policies.manifest import Manifest, manifest
from policies.signature import BadKey, PublicKeys, SigningKey, parse_public_keys, parse_signing_key
from records.books import Books
from refunds.vocabulary import CaseMode
from tools.gateway import Gateway
from tools.order_service import OrderService

if TYPE_CHECKING:
    from graph.model.embedding import Embedding
    from graph.model.models import Models


def no_models(pinned: Manifest) -> "Models":
    """Where no provider is configured. Raises BadProvider."""
    raise BadProvider(f"{pinned.agent_version}: no provider of models is configured here")


@dataclass(frozen=True)
class GraphServices:
    """Books, rules, tools and a planner; models and spans where the settings ask for them."""

    books: Books
    manifest: Manifest
    intake_keys: PublicKeys
    planner: Planner = field(default_factory=DeterministicPlanner)
    ticks: Callable[[], float] = time.monotonic
    orders: OrderService | None = None
    models: "Models | None" = None
    meaning: "Embedding | None" = None
    spans: Spans = field(default_factory=Spans)
    mode: CaseMode = "production"
    models_for: "Callable[[Manifest], Models]" = field(default=no_models)
    """Makes the models of a release that is not the one this process was started with."""

    made: "list[Models]" = field(default_factory=list)
    """The models that were made so, to be closed with these services."""

    @property
    def gateway(self) -> Gateway:
        """The only way to a tool."""
        return Gateway(self.books, self.ticks, self.orders, self.meaning)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["GraphServices"]:
        """Open the books for these services; at the end close what was opened and send the last spans."""
        try:
            async with self.books.opened():
                yield self
        finally:
            await self.close()

    async def close(self) -> None:
        """Close what it works with beside the books, and send the last spans."""
        if self.models is not None:
            await self.models.close()
        for models in self.made:
            await models.close()
        if self.meaning is not None:
            await self.meaning.close()
        if self.orders is not None:
            await self.orders.close()
        await asyncio.to_thread(self.spans.shutdown)


def graph_services(settings: GraphSettings, books: Books | None = None) -> GraphServices:
    """The services of a process, with closed books of their own where none are given.

    BadKey names the key file that is missing or none, BadProvider the model that cannot be used.
    """
    pinned = manifest(settings.manifest)
    books = books or Books.at(settings.database_url.get_secret_value(), size=3 * settings.concurrency + 4)
    spans = _spans(settings, pinned)
    opened = books

    def models_for(of: Manifest) -> "Models":
        from graph.model.models import models_of  # noqa: PLC0415  (a house without a model loads no model library)

        return models_of(settings, of, opened, spans)

    models = models_for(pinned) if pinned.planner == "model" else None
    meaning = None
    if settings.embedding_model is not None:
        from graph.model.models import embedding_of  # noqa: PLC0415  (as above)

        meaning = embedding_of(settings, settings.embedding_model, pinned, books)
    return GraphServices(
        books=books,
        manifest=pinned,
        intake_keys=_public(settings),
        orders=_orders(settings),
        models=models,
        meaning=meaning,
        spans=spans,
        mode=settings.mode,
        models_for=models_for,
    )


def _public(settings: GraphSettings) -> PublicKeys:
    try:
        text = settings.intake_keys.read_text(encoding="utf-8")
    except OSError as error:
        raise BadKey(f"{settings.intake_keys}: {error.strerror}: run countersign db up") from None
    return parse_public_keys(text, str(settings.intake_keys))


def _orders(settings: GraphSettings) -> OrderService | None:
    if settings.orders_url is None:
        return None
    if settings.tools_key is None:
        raise BadKey("GRAPH_TOOLS_KEY: an order service is named and nothing could sign a call to it")
    return OrderService(settings.orders_url, tools_key(settings))


def tools_key(settings: GraphSettings) -> SigningKey:
    """What signs the calls to services beside the house. Raises BadKey."""
    file = settings.tools_key
    try:
        return parse_signing_key(file.read_text(encoding="utf-8") if file else "", str(file))
    except OSError as error:
        raise BadKey(f"{file}: {error.strerror}: run countersign db up") from None


def _spans(settings: GraphSettings, pinned: Manifest) -> Spans:
    asked_for = ("LANGFUSE_PUBLIC_KEY", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if not any(os.environ.get(name) for name in asked_for):
        return Spans()
    from graph.exporting import spans_of  # noqa: PLC0415  (a house without traces loads no exporter)

    return spans_of(os.environ, mode=settings.mode, release=pinned.agent_version, service="countersign-graph")


@cache
def the_settings() -> GraphSettings:
    """The settings of this process."""
    return GraphSettings()


@cache
def the_services() -> GraphServices:
    """The services of this process, for what a server loads by name."""
    return graph_services(the_settings())
