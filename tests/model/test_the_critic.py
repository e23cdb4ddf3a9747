"""A second model reads a finished letter: its no is one more attempt, then a person's with both shown."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_openai import FakeOpenAI, served
from model_kit import data_of, diligent, fenced, model_manifest, model_stage, profile, section, spend_limits
from stage import Cluster

from graph.model.critic import Critique, wrong_by
from policies.manifest import Manifest, ModelRoute

FINE = {"says_the_decision": True, "answers_every_ask": True, "what_is_wrong": None}
WRONG = {
    "says_the_decision": False,
    "answers_every_ask": True,
    "what_is_wrong": "It reads as if more came back.",
}


def pinned() -> Manifest:
    routes = [ModelRoute(provider="fake", model="small")]
    other = [ModelRoute(provider="fake", model="large")]
    models = {"plan": routes, "draft": routes, "critique": other}
    return model_manifest(spending=spend_limits(), budgets=profile(), models=models)


def criticising(*answers: object) -> Callable[[dict[str, Any]], str]:
    """A model that plans and drafts well, and a critic that answers so, the last for ever."""
    left = list(answers)

    def said(body: dict[str, Any]) -> str:
        if body["response_format"]["json_schema"]["name"] != "Critique":
            # The same letter again would get the answer that stands in the books, and cost nothing.
            again = bool(section(data_of(body), "last_answer"))
            return diligent(body).replace("Please tell us", "Do tell us") if again else diligent(body)
        answer = left.pop(0) if len(left) > 1 else left[0]
        return answer if isinstance(answer, str) else json.dumps(answer)

    return said


@pytest.mark.parametrize(
    ("answers", "reason", "critiques", "noticed"),
    [
        ((FINE,), "draft_ready_for_review", 1, set()),
        ((WRONG, FINE), "draft_ready_for_review", 2, {"criticised", "stopped_draft"}),
        ((WRONG,), "draft_failed_checks", 2, {"criticised", "stopped_draft"}),
        (("no JSON", FINE), "draft_ready_for_review", 2, {"invalid_answer"}),
        (("no JSON",), "draft_ready_for_review", 2, {"invalid_answer", "without_model"}),
    ],
    ids=["fits", "fits the second time", "never fits", "unreadable once", "unreadable"],
)
async def test_a_critics_no_is_one_more_attempt_and_then_a_persons_with_both(
    cluster: Cluster, url: str, tmp_path: Path, answers: Any, reason: str, critiques: int, noticed: set[str]
) -> None:
    with served(FakeOpenAI(criticising(*answers))) as fake:
        async with model_stage(cluster, url, tmp_path, fake, pinned()) as stage:
            _, state = await stage.paused()
            found = await stage.sql("select kind::text as kind, detail from books.findings")
            calls = await stage.sql(
                "select model from books.model_calls where feature::text = 'critique' and phase = 'settled'"
            )
    assert state["reason"] == reason, found
    assert [row["model"] for row in calls] == ["large"] * critiques
    assert {row["kind"] for row in found} == noticed
    for row in found:
        if row["kind"] == "stopped_draft":
            assert "{1}" in row["detail"] and "thank you for writing" in row["detail"]
        if row["kind"] == "criticised":
            assert row["detail"] == WRONG["what_is_wrong"]
    asked = [body for body in fake.asked if body["response_format"]["json_schema"]["name"] == "Critique"]
    data = data_of(asked[0])
    assert "79.00" in fenced(section(data, "letter")) and json.loads(section(data, "asks")) == ["refund"]


@pytest.mark.parametrize(
    ("says", "answers", "words", "wrong"),
    [
        (True, True, None, None),
        (True, True, "nothing really", None),
        (False, True, None, "it does not say what is decided"),
        (True, False, "  ", "an ask is not answered"),
        (False, False, "It promises more.", "It promises more."),
    ],
)
def test_a_no_has_words_whether_or_not_the_critic_has_some(
    says: bool, answers: bool, words: str | None, wrong: str | None
) -> None:
    critique = Critique(says_the_decision=says, answers_every_ask=answers, what_is_wrong=words)
    assert wrong_by(critique) == wrong
