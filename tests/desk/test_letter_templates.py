"""Letters: a shop's own sentences, in each language the same facts, and nothing of the house's own business in them."""

import json
import re
from pathlib import Path

import pytest
from desk_kit import DeskStage

from desk.letters import OWN_LETTERS, rejection, samples
from policies import letter_templates
from policies.amounts import stated_in
from policies.letter_templates import (
    LETTERS,
    BadLetters,
    LetterTemplates,
    languages_of_letters,
    says_goods_first,
    templates,
)
from refunds.ids import TenantId


def own(folder: Path, said: object, tenant: str = "demo", language: str = "en") -> LetterTemplates:
    """The letters of a shop with sentences of its own, beside those of every shop."""
    for file in LETTERS.glob("*.json"):
        (folder / file.name).write_text(file.read_text())
    (folder / tenant).mkdir()
    (folder / tenant / f"{language}.json").write_text(said if isinstance(said, str) else json.dumps(said))
    return letter_templates._templates(tenant, language, folder)


def test_a_shop_says_some_sentences_otherwise(tmp_path: Path) -> None:
    says = own(tmp_path, {"sign_off": "The people of Demo", "greeting": "Dear {name},"})
    letter = rejection("other", says, name="Jo Doe")
    assert letter.startswith("Dear Jo Doe,\n\n") and letter.endswith("\n\nThe people of Demo")
    assert "We cannot offer a refund here." in letter, "the others stay"


@pytest.mark.parametrize(
    "said",
    [
        {"refunded": "We returned it on {day}."},
        {"refunded": "{amount} {day} {evil}"},
        {"nothing_known": "x"},
        {"greeting": "Hello {name!r},"},
        {"greeting": "Hello {name.__class__},"},
        {"greeting": "Hello {"},
        {"greeting": 3},
        "not json",
        [],
    ],
)
def test_a_sentence_that_lacks_a_value_or_takes_another_is_refused(tmp_path: Path, said: object) -> None:
    with pytest.raises(BadLetters):
        own(tmp_path, said)


@pytest.mark.parametrize("language", languages_of_letters())
def test_every_language_says_the_same_facts(language: str) -> None:
    english, other = samples(templates(None, "en")), samples(templates(None, language))
    assert list(english) == list(other)
    for kind, letter in other.items():
        facts = [(one.minor, one.unit) for one in stated_in(english[kind])]
        assert [(one.minor, one.unit) for one in stated_in(letter)] == facts, (kind, letter)
        assert ("D300" in letter) == ("D300" in english[kind]), kind
        assert not re.search(r"\d{4}-\d{2}-\d{2}|-v\d|\{|\}|re_", letter), (kind, "an id or an ISO date")
        assert "Jo Doe" in letter.split("\n\n", maxsplit=1)[0], kind
    assert says_goods_first(other["goods_first"], TenantId("demo"))


def test_a_name_that_is_none_greets_nobody() -> None:
    says = templates()
    for name in (None, "", "  ", "x" * 100, "a\nb"):
        assert says.greeting(name) == "Hello,"
    assert says.greeting(" Jo ") == "Hello Jo,"
    assert says.greeting("{evil}") == "Hello {evil},", "a name is a value, and no sentence"


def test_an_unknown_language_and_an_odd_shop_read_english() -> None:
    for language in ("xx", "../de", "EN", ""):
        assert templates(TenantId("../../etc"), language).language == "en"


async def test_a_customer_is_written_to_by_name_in_their_language(desk: DeskStage) -> None:
    await desk.stage.sql(
        "update books.customers set name = 'Zoë Müller', language = 'de' where customer_id = 'C100'"
    )
    case, state = await desk.stage.paused()
    assert str(state["draft"]).startswith("Guten Tag Zoë Müller,\n\n79,00 $ gehen auf Ihr")
    async with desk.visit() as visitor:
        page = (await visitor.get(f"/cases/{case.case_id}")).text
        shown = page[page.index('id="h-draft"') : page.index('id="h-policy"')]
        assert "Guten Tag Zoë Müller," in shown and "return-policy-us-v3" not in shown
        await visitor.decide(case.case_id, "approve")
    await desk.stage.finish()
    await desk.answer_customer(case.case_id)
    [row] = await desk.stage.sql("select body from books.replies")
    first, outcome, *rest = row["body"].split("\n\n")
    assert first == "Guten Tag Zoë Müller,"
    assert outcome.startswith("Wir haben am ") and "79,00 $" in outcome
    assert rest[-1] == "Ihr Kundendienst" and "gehen auf Ihr" not in row["body"], "the promise is kept"


async def test_the_beginnings_of_a_letter_of_ones_own_are_offered_in_the_customers_language(
    desk: DeskStage,
) -> None:
    await desk.stage.sql("update books.customers set language = 'de' where customer_id = 'C100'")
    case, _ = await desk.stage.paused(order_id="D999", question="Where is it?", intent="order_question")
    async with desk.visit() as visitor:
        page = (await visitor.get(f"/cases/{case.case_id}")).text
    begun = re.findall(r'name="begin" value="(\w+)"[^>]*data-text="([^"]+)"', page)
    assert [kind for kind, _text in begun] == list(OWN_LETTERS)
    assert all(text.startswith("Guten Tag") for _kind, text in begun)
