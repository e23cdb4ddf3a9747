"""The models of this machine, where they are installed: real ones, over real HTTP, with what they say checked as ever."""

import httpx
import pytest
from model_kit import model_manifest
from pydantic import BaseModel, ConfigDict, SecretStr

from deploy.local_models import (
    LANGUAGE,
    MEANING,
    QUESTION,
    NoLocalModels,
    check_packages,
    free_ports,
    manifest_text,
    providers,
    running,
)
from graph.model.endpoint import Endpoint, ModelQuestion
from graph.model.providers import Price, Priced, Provider, ServedRoute
from policies.manifest import Manifest, ModelRoute


class NamedByModel(BaseModel):
    """The form of an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    clause: int | None
    words: str | None


def test_a_house_with_them_has_a_manifest_and_providers_of_the_usual_form() -> None:
    pinned = Manifest.read(manifest_text())
    assert pinned.planner == "model"
    assert {route.endpoint for routes in pinned.models.values() for route in routes} == {f"local/{LANGUAGE}"}
    assert set(pinned.models) == set(model_manifest().prompts)
    for fields in providers(1, 2).values():
        Provider.model_validate(fields)


async def test_they_answer_in_the_wanted_form_and_count_their_tokens() -> None:
    try:
        check_packages()
    except NoLocalModels as missing:
        pytest.skip(str(missing))
    language, meaning = free_ports(2)
    given = Provider.model_validate(providers(language, meaning)["local"])
    free = Price(input=0, output=0)
    served = ServedRoute(
        ModelRoute(provider="local", model=LANGUAGE), given, Priced(LANGUAGE, free), SecretStr("k")
    )
    with running("language", language):
        endpoint = Endpoint(served)
        question = ModelQuestion(
            "Name a clause.", "1. Tablets may be returned within 14 days. 2. None.", NamedByModel, 60
        )
        try:
            answer = await endpoint.ask(question, 100)
        finally:
            await endpoint.close()
    assert answer.outcome in {"answered", "cut_off"}, answer
    assert answer.input_tokens and answer.output_tokens
    if answer.outcome == "answered":
        NamedByModel.model_validate_json(answer.text)


async def test_the_model_of_meaning_puts_a_question_near_the_clause_that_answers_it() -> None:
    try:
        check_packages()
    except NoLocalModels as missing:
        pytest.skip(str(missing))
    [port] = free_ports(1)
    with running("meaning", port):
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/v1", trust_env=False, timeout=20
        ) as client:

            async def vectors(model: str, *texts: str) -> list[list[float]]:
                said = (await client.post("/embeddings", json={"model": model, "input": list(texts)})).json()
                return [one["embedding"] for one in said["data"]]

            [asked] = await vectors(QUESTION, "my tablet came with a crack in it")
            damaged, gift = await vectors(
                MEANING,
                "Electronics that arrive broken are refunded.",
                "A gift card is valid for five years.",
            )
    near = [sum(one * other for one, other in zip(asked, clause, strict=True)) for clause in (damaged, gift)]
    assert len(asked) == 384 and near[0] > near[1]
