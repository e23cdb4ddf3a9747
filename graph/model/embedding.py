"""Embeddings: what a text means, as an OpenAI-compatible endpoint says it. An option beside the words; journalled."""

import asyncio
import logging
import time
from collections.abc import Sequence

import httpx2
import openai

from graph.model.asking import OPEN_AFTER, OPEN_SECONDS, spent_of
from graph.model.providers import ServedRoute
from policies.manifest import Manifest
from policies.spending import Sum, weigh
from records.books import Books, BooksAway, Transaction
from records.model_calls import Load, Place, Receipt, Request, SpentRow, reserve, settle
from refunds.canonical import digest, sha256
from refunds.masking import mask
from refunds.vocabulary import ModelOutcome
from tools.gateway import ToolContext

log = logging.getLogger("countersign.model")

SECONDS = 5.0
QUESTION_SECONDS = 2.0
AT_ONCE = 64
TEXT_LIMIT = 2_000


class NoMeaning(Exception):
    """The endpoint did not say what a text means; the message says why."""


class Embedding:
    """One embedding model at an address."""

    def __init__(
        self, served: ServedRoute, manifest: Manifest, books: Books, question_model: str | None = None
    ) -> None:
        self.served = served
        self.question_model = question_model or served.route.model
        self._manifest = manifest
        self._books = books
        self._client = openai.AsyncOpenAI(
            base_url=served.provider.base_url,
            api_key=served.api_key.get_secret_value(),
            max_retries=0,
            timeout=SECONDS,
            http_client=httpx2.AsyncClient(timeout=SECONDS, trust_env=False, follow_redirects=False),
        )

    @property
    def model(self) -> str:
        return self.served.route.model

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()

    async def vectors(
        self, texts: Sequence[str], *, asked: bool = False
    ) -> tuple[list[list[float]], int | None]:
        """The meaning of each text, and the tokens that it took where that is told. Raises NoMeaning.

        What customers ask, or a document says that they ask, is read as a question.
        """
        model = self.question_model if asked else self.model
        found: list[list[float]] = []
        tokens: int | None = 0
        for first in range(0, len(texts), AT_ONCE):
            part = [text[:TEXT_LIMIT] for text in texts[first : first + AT_ONCE]]
            try:
                answer = await self._client.embeddings.create(
                    model=model, input=part, encoding_format="float"
                )
                vectors = [list(map(float, one.embedding)) for one in answer.data]
                said = answer.usage.prompt_tokens if answer.usage else None
            except (openai.OpenAIError, AttributeError, TypeError, ValueError) as error:
                raise NoMeaning(type(error).__name__) from None
            if len(vectors) != len(part) or not all(vectors):
                raise NoMeaning("not one vector for each text")
            found += vectors
            tokens = None if tokens is None or said is None else tokens + said
        return found, tokens

    async def of_question(
        self, context: ToolContext, question: str, run: int, step: int
    ) -> list[float] | None:
        """What a customer's question means, booked to the case; None where nobody says."""
        text = mask(question, context.known)[:TEXT_LIMIT]
        place = Place(context.case_id, context.customer_id, context.release, run, step, "embed")
        most = len(text.encode())
        request = Request(
            self.served.route.endpoint,
            self.model,
            "none",
            sha256(""),
            digest({"embed": text, "model": self.model}),
            most,
            self.served.price.cost_micros(most, 0),
        )
        started = time.monotonic()
        try:
            async with self._books.transaction(context.tenant) as tx:
                attempt = await self._reserved(tx, place, request)
        except (NoMeaning, BooksAway) as error:
            log.warning("no embedding: %s", error)
            return None
        try:
            # Sooner than the tool that waits for it: the words answer where nobody says what they mean.
            async with asyncio.timeout(QUESTION_SECONDS):
                vectors, tokens = await self.vectors([text], asked=True)
            outcome: ModelOutcome = "answered"
        except (NoMeaning, TimeoutError) as error:
            log.warning("no embedding: %s", error or "no answer in time")
            timed_out = isinstance(error, TimeoutError)
            vectors, tokens, outcome = [], None, "timed_out" if timed_out else "not_an_answer"
        receipt = Receipt(
            outcome=outcome,
            text="",
            tokens=most if tokens is None else tokens,
            cost_micros=self.served.price.cost_micros(most if tokens is None else tokens, 0),
            input_tokens=tokens,
            output_tokens=0 if tokens is not None else None,
            usage_reported=tokens is not None,
            price=self.served.price.words,
            latency_ms=max(0, round((time.monotonic() - started) * 1000)),
        )
        try:
            async with self._books.transaction(context.tenant) as tx:
                await settle(tx, place, attempt, receipt)
        except BooksAway:
            log.warning("an embedding of case %s could not be settled", context.case_id)
        return vectors[0] if vectors else None

    async def _reserved(self, tx: Transaction, place: Place, request: Request) -> int:
        """The attempt that is reserved. Raises NoMeaning where a spend limit or the endpoint has no place for it."""

        def judged(load: Load, sums: Sequence[SpentRow]) -> bool:
            weighed = weigh(
                self._manifest.spend_limits(),
                spent_of(sums, place.customer_id),
                Sum(request.tokens, request.cost_micros),
            )
            at = self.served.provider
            rests = load.failures >= OPEN_AFTER and (load.failed_seconds_ago or 0.0) < OPEN_SECONDS
            place_left = load.in_flight < at.concurrency and load.requests < at.requests_per_minute
            return weighed.reason is None and place_left and not rests

        _, attempt = await reserve(tx, place, request, judged, bool)
        if attempt is None:
            raise NoMeaning("no place in a budget")
        return attempt
