"""The shop's own order service, over HTTP: how an order goes on, newer than the books have it.

It says status and dates. What was paid, what an item costs and what went back is the books' word alone: nothing that a
service answers can become an amount or a payee. Away or wrong, the books answer by themselves.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

import httpx
import stamina
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from policies.signature import SigningKey
from refunds.order import OrderFacts
from refunds.vocabulary import OrderStatus
from tools.breaker import Breaker
from tools.invocation import Invocation

SECONDS = 2.0
ALL_SECONDS = 4.0
"""What one answer may take, however slowly it comes."""

ATTEMPTS = 2
FRESH_SECONDS = 15.0
"""So long an answer is taken as it was; then the service is asked whether it still is."""

KEPT = 1_024
FURTHER: dict[OrderStatus, int] = {"pending": 0, "processed": 1, "shipped": 2, "delivered": 3, "cancelled": 3}
BODY_LIMIT = 65_536


class ServiceAway(Exception):
    """The service did not answer, or not with an order of this case; the message says which."""


class Passing(Exception):
    """A failure that may pass."""


class ServiceAnswer(BaseModel):
    """What the service says of an order; more than this is not read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    order_id: Annotated[str, Field(max_length=128)]
    customer_id: Annotated[str, Field(max_length=128)]
    status: OrderStatus
    delivered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer and how long it is fresh."""

    told: ServiceAnswer | None
    etag: str
    until: float


@dataclass
class OrderService:
    """A service at an address, with the key that signs our calls."""

    base_url: str
    key: SigningKey
    ticks: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    breaker: Breaker = field(default_factory=Breaker)
    _kept: OrderedDict[tuple[str, str, str], Kept] = field(default_factory=OrderedDict)
    _client: httpx.AsyncClient | None = None

    async def told_of(self, invocation: Invocation, order_id: str) -> ServiceAnswer | None:
        """What it says of an order; None where it knows none. Raises ServiceAway."""
        place = (invocation.tenant, invocation.customer_id, order_id)
        kept = self._kept.get(place)
        if kept is not None and self.ticks() < kept.until:
            return kept.told
        if not self.breaker.lets_through():
            raise ServiceAway("it failed too often; it is asked again in a while")
        try:
            async with asyncio.timeout(ALL_SECONDS):
                found = await self._ask(invocation, order_id, kept)
        except ServiceAway:
            self.breaker.worked()  # it did answer, though not with this order
            raise
        except (httpx.HTTPError, Passing, TimeoutError, ValueError) as error:
            self.breaker.failed()
            raise ServiceAway(str(error)[:120] or type(error).__name__) from None
        self.breaker.worked()
        self._kept[place] = found
        self._kept.move_to_end(place)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found.told

    async def _ask(self, invocation: Invocation, order_id: str, kept: Kept | None) -> Kept:
        async for attempt in stamina.retry_context(
            on=(httpx.TransportError, Passing),
            attempts=ATTEMPTS,
            timeout=ALL_SECONDS,
            wait_initial=0.1,
            wait_max=0.5,
        ):
            with attempt:
                headers = {"authorization": f"Bearer {invocation.token(self.key, self.now())}"}
                if kept is not None and kept.etag:
                    headers["if-none-match"] = kept.etag
                answer = await self.client.get(f"/orders/{quote(order_id, safe='')}", headers=headers)
                if answer.status_code >= 500 or answer.status_code == 429:
                    raise Passing(f"it answered {answer.status_code}")
        until = self.ticks() + FRESH_SECONDS
        if answer.status_code == 304 and kept is not None:
            return replace(kept, until=until)
        if answer.status_code == 404:
            return Kept(None, answer.headers.get("etag", ""), until)
        if answer.status_code != 200 or len(answer.content) > BODY_LIMIT:
            raise ServiceAway(f"it answered {answer.status_code}")
        try:
            told = ServiceAnswer.model_validate_json(answer.content)
        except ValidationError:
            raise ServiceAway("its answer is no order") from None
        if (told.order_id, told.customer_id) != (order_id, invocation.customer_id):
            raise ServiceAway("its answer is of another order or customer")
        return Kept(told, answer.headers.get("etag", "")[:200], until)

    @property
    def client(self) -> httpx.AsyncClient:
        if self._client is None or self._client.is_closed:
            self._client = httpx.AsyncClient(
                base_url=self.base_url, timeout=SECONDS, trust_env=False, follow_redirects=False
            )
        return self._client

    async def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.aclose()


def gone_on(order: OrderFacts, told: ServiceAnswer) -> OrderFacts:
    """The order of the books with how it goes on by the service. Never back, and no day that cannot be."""
    if order.status in {"delivered", "cancelled"} or FURTHER[told.status] <= FURTHER[order.status]:
        return order
    if told.status != "delivered":
        return replace(order, status=told.status)
    delivered = told.delivered_at
    if delivered is not None and delivered.tzinfo is None:
        delivered = delivered.replace(tzinfo=UTC)
    if delivered is None or not order.ordered_at <= delivered <= datetime.now(UTC):
        return order  # an impossible day of delivery: without it, as the books have none either
    return replace(order, status="delivered", delivered_at=delivered)
