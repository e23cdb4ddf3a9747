"""Model calls in the books: reserved before a call, settled after it, replayed after a crash."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from records.books import Reads, Transaction
from refunds.ids import CaseId, CustomerId
from refunds.vocabulary import ModelFeature, ModelOutcome

CallWeighed = TypeVar("CallWeighed")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a case a call is made, and for what."""

    case_id: CaseId
    customer_id: CustomerId
    release: str
    run: int
    step: int
    feature: ModelFeature


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of which model, named by its hash; and the most that it can cost."""

    endpoint: str
    model: str
    prompt_version: str
    prompt_sha256: str
    request_sha256: str
    tokens: int
    cost_micros: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of a call and what it cost. Without usage from the provider it cost what was reserved."""

    outcome: ModelOutcome
    text: str
    tokens: int
    cost_micros: int
    input_tokens: int | None
    output_tokens: int | None
    usage_reported: bool
    price: str
    """What a token cost by which table, in words: it is kept with the call."""

    latency_ms: int
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """How busy and how well an endpoint is, over all processes and tenants."""

    in_flight: int
    requests: int
    tokens: int
    failures: int
    """Calls that failed in passing since the last that did not."""

    failed_seconds_ago: float | None


@dataclass(frozen=True, slots=True)
class SpentRow:
    """A sum of the books."""

    period: str
    customer_id: str
    tokens: int
    cost_micros: int


async def stored_answer(reads: Reads, place: Place, request_sha256: str) -> Receipt | None:
    """What this request of this run was answered before, if it was."""
    row = await reads.row(
        "answer_of_call", case_id=place.case_id, run=place.run, request_sha256=request_sha256
    )
    if row is None:
        return None
    return Receipt(
        outcome=row["outcome"],
        text=row["response"] or "",
        tokens=row["tokens"],
        cost_micros=row["cost_micros"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        usage_reported=row["usage_reported"],
        price=row["price"],
        latency_ms=row["latency_ms"] or 0,
    )


async def reserve(
    tx: Transaction,
    place: Place,
    request: Request,
    allowed: Callable[[Load, list[SpentRow]], CallWeighed],
    passes: Callable[[CallWeighed], bool],
) -> tuple[CallWeighed, int | None]:
    """Weigh a call under the one lock of spending and reserve it where it passes: what was weighed, and its attempt."""
    tx.later("lock_spend")
    load = await tx.row("load_of_endpoint", endpoint=request.endpoint)
    sums = await tx.rows("spent_by", customer_id=place.customer_id)
    if load is None:
        raise LookupError("no load")
    weighed = allowed(
        Load(
            load["in_flight"],
            load["requests"],
            int(load["tokens"]),
            load["failures"],
            load["failed_seconds_ago"],
        ),
        [SpentRow(row["period"], row["customer_id"], row["tokens"], row["cost_micros"]) for row in sums],
    )
    if not passes(weighed):
        return weighed, None
    row = await tx.row(
        "reserve_call",
        case_id=place.case_id,
        run=place.run,
        step=place.step,
        feature=place.feature,
        endpoint=request.endpoint,
        model=request.model,
        release=place.release,
        customer_id=place.customer_id,
        prompt_version=request.prompt_version,
        prompt_sha256=request.prompt_sha256,
        request_sha256=request.request_sha256,
        tokens=request.tokens,
        cost_micros=request.cost_micros,
    )
    if row is None:
        raise LookupError("no reservation")
    return weighed, int(row["attempt"])


async def settle(tx: Transaction, place: Place, attempt: int, receipt: Receipt) -> None:
    """Write what came of a reserved call."""
    await tx.rows(
        "settle_call",
        case_id=place.case_id,
        run=place.run,
        step=place.step,
        attempt=attempt,
        tokens=receipt.tokens,
        cost_micros=receipt.cost_micros,
        outcome=receipt.outcome,
        response=receipt.text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
        .encode("utf-8", "replace")
        .decode("utf-8"),
        input_tokens=receipt.input_tokens,
        output_tokens=receipt.output_tokens,
        usage_reported=receipt.usage_reported,
        price=receipt.price,
        latency_ms=receipt.latency_ms,
        retry_after_ms=receipt.retry_after_ms,
    )


async def alert(tx: Transaction, share: int, cost_micros: int) -> bool:
    """Write down that a month reached a share of its budget; False where that stands there."""
    return await tx.row("insert_spend_alert", share=share, cost_micros=cost_micros) is not None
