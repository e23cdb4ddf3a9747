"""Providers: where models are, what they may take at a time, and what a token of each costs. A price that nobody
knows refuses to start: an unknown price is an unknown budget."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import genai_prices
from genai_prices import Usage
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from graph.settings import BadProvider
from policies.manifest import ModelRoute

MICROS = 1_000_000
DEFAULT = "openai"
"""The provider of OPENAI_BASE_URL and OPENAI_API_KEY."""


class Price(BaseModel):
    """Millionths of a US dollar for a million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Annotated[int, Field(ge=0)]
    output: Annotated[int, Field(ge=0)]


class Provider(BaseModel):
    """One address with its limits, over all processes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    """The variable that holds the key; the file itself holds none."""

    concurrency: Annotated[int, Field(ge=1, le=1_000)] = 16
    requests_per_minute: Annotated[int, Field(ge=1)] = 600
    tokens_per_minute: Annotated[int, Field(ge=1)] = 2_000_000
    seconds: Annotated[float, Field(gt=0, le=120)] = 20.0
    """What one call may take in all."""

    attempts: Annotated[int, Field(ge=1, le=5)] = 3
    """How often a call that failed in passing is made in all."""

    stall_seconds: Annotated[float, Field(gt=0, le=60)] = 8.0
    """A stream that says nothing for so long has stalled."""

    limit_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    """What the server calls the most tokens of an answer; older ones know only the second."""

    answer_tokens: Annotated[int, Field(ge=1)] | None = None
    """The most tokens of any answer, where a model of this server would go on for longer than its answer is worth."""

    options: dict[str, str | int | bool] = {}
    """What else a server is told with each call, as `reasoning_effort`."""

    prices: dict[str, Price] = {}


@dataclass(frozen=True, slots=True)
class Priced:
    """What a model costs, and by which table."""

    model: str
    own: Price | None

    def cost_micros(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> int:
        """Millionths of a US dollar, rounded up."""
        if self.own is not None:
            millionths = input_tokens * self.own.input + output_tokens * self.own.output
            return -(-millionths // MICROS)
        usage = Usage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cache_read_tokens=min(cached_tokens, input_tokens),
        )
        try:
            price = genai_prices.calc_price(usage, self.model).total_price
        except LookupError:
            # A name that says too little by itself, as those of embedding models, is looked for at the first provider.
            price = genai_prices.calc_price(usage, self.model, provider_id=DEFAULT).total_price
        return -(-int(price * MICROS * 1_000) // 1_000)

    @property
    def words(self) -> str:
        """The price as it is kept with a call."""
        if self.own is not None:
            return f"configured {self.own.input}/{self.own.output} micros a million"
        return f"genai-prices {genai_prices.__version__} {self.model}"


@dataclass(frozen=True, slots=True)
class ServedRoute:
    """A route of the manifest with all that its calls need."""

    route: ModelRoute
    provider: Provider
    price: Priced
    api_key: SecretStr


def read_providers(file: Path | None, environment: Mapping[str, str]) -> dict[str, Provider]:
    """The providers of a JSON file, and the default one; BadProvider names the field that is wrong."""
    found: dict[str, Provider] = {}
    if file is not None:
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
            found = {str(name): Provider.model_validate(fields) for name, fields in dict(said).items()}
        except OSError as error:
            raise BadProvider(f"{file}: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise BadProvider(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from None
        except (ValueError, TypeError):
            raise BadProvider(f"{file}: not a JSON object of providers") from None
    if DEFAULT not in found:
        found[DEFAULT] = Provider(base_url=environment.get("OPENAI_BASE_URL") or None)
    return found


def endpoint_line(
    route: ModelRoute, providers: Mapping[str, Provider], environment: Mapping[str, str] = os.environ
) -> ServedRoute:
    """A route with its provider, key and price. Raises BadProvider where one is missing."""
    provider = providers.get(route.provider)
    if provider is None:
        raise BadProvider(f"no provider is called {route.provider}: add it to GRAPH_PROVIDERS")
    key = environment.get(provider.api_key_env, "")
    if not key:
        raise BadProvider(
            f"{provider.api_key_env} is not set: {route.endpoint} needs a key (any word where the server asks for none)"
        )
    own = provider.prices.get(route.model)
    priced = Priced(route.model, own)
    if own is None:
        try:
            priced.cost_micros(1, 1)
        except LookupError:
            raise BadProvider(
                f"nobody knows what {route.model} costs: give its price under {route.provider} in GRAPH_PROVIDERS"
            ) from None
    return ServedRoute(route, provider, priced, SecretStr(key))
