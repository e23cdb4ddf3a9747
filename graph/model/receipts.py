"""Receipts: what came of a call and what it cost, and whether its answer is of the wanted form."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from graph.model.answer_text import NoObject, object_in
from graph.model.endpoint import Endpoint, ModelAnswer
from policies.spending import Sum
from records.model_calls import Receipt, Request
from refunds.vocabulary import ModelOutcome

Form = TypeVar("Form", bound=BaseModel)

STOPPED = ModelAnswer("timed_out")

NEVER_BEGAN: frozenset[ModelOutcome] = frozenset(
    {"rate_limited", "quota_exhausted", "unauthorized", "bad_request", "unreachable"}
)
"""A provider that turned a call away did not count it."""


def summed(receipts: Sequence[Receipt]) -> Sum:
    """What several calls cost together."""
    return Sum(sum(one.tokens for one in receipts), sum(one.cost_micros for one in receipts))


def call_receipt(endpoint: Endpoint, request: Request, answer: ModelAnswer, took_ms: int) -> Receipt:
    """What a call cost: by the provider's own count, or all that was reserved where it does not count."""
    used = answer.input_tokens, answer.output_tokens
    price = endpoint.served.price
    never_began = answer.outcome in NEVER_BEGAN
    if used[0] is not None and used[1] is not None:
        tokens = used[0] + used[1]
        cost = price.cost_micros(used[0], used[1], answer.cached_tokens)
    else:
        tokens, cost = (0, 0) if never_began else (request.tokens, request.cost_micros)
    return Receipt(
        outcome=answer.outcome,
        text=answer.text,
        tokens=tokens,
        cost_micros=cost,
        input_tokens=used[0],
        output_tokens=used[1],
        usage_reported=used[0] is not None,
        price=price.words,
        latency_ms=took_ms,
        retry_after_ms=None
        if answer.retry_after is None
        else min(round(answer.retry_after * 1000), 86_400_000),
    )


def read_model_answer(receipt: Receipt, form: type[Form]) -> tuple[Form | None, ModelOutcome, str]:
    """The answer in its form; how it ends, and what is wrong with it in words that a model can follow."""
    if receipt.outcome != "answered":
        return None, receipt.outcome, _WRONG.get(receipt.outcome, "")
    try:
        said = object_in(receipt.text)
    except NoObject as error:
        return None, "malformed", f"it was not one JSON object: {error}"
    try:
        return form.model_validate(said), "answered", ""
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])[:100]
        return None, "wrong_schema", f"it was not of the given form: {field}: {first['msg'][:100]}"


_WRONG: dict[ModelOutcome, str] = {
    "cut_off": "it was too long and was cut off",
    "empty": "it was empty",
    "too_long": "it was far too long",
    "refused": "it was refused",
    "filtered": "it was filtered",
    "wrong_schema": "it was not of the given form",
}
