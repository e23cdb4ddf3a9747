"""What the desk says: every text in every language, every word of the vocabulary in people's words, the letters too."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from desk_kit import DeskStage

from desk.catalogue import LANGUAGES, _, read_in
from desk.pages.render import environment
from desk.plain_words import PLAIN, plain_word
from evals.texts import catalogue_of, desk_texts
from refunds import vocabulary

TEMPLATES = Path(__file__).parents[2] / "desk/pages/templates"
OTHERS = [language for language in LANGUAGES if language != "en"]
SHOWN = (
    "Action", "AskKind", "AskState", "BlockReason", "BypassReason", "Asked", "Authority", "CaseMode", "CaseStatus", "Cause",
    "ChargeKind", "Differs", "DisputeStatus", "DocumentStatus", "FindingKind", "FlagName", "HandoffReason", "HeldEnd",
    "IntakeVerdict", "Intent", "ModelFeature", "ModelOutcome", "MoneyWish", "Notice", "OrderStatus", "PaymentKind",
    "PaymentOrder", "Priority", "ProposalKind", "ProviderAct", "ReaderKind", "ReadingDoubt", "RefundResult", "RejectCode",
    "ReleaseState", "ReturnCondition", "Role", "Route", "SecondVerdict", "SettlementOutcome", "Stage", "TakeoverAct", "Thumb",
    "TicketEnd", "Via", "VoteWord",
)  # fmt: skip


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_has_every_language_with_the_same_values(language: str) -> None:
    """Broken? `make texts` brings a new text into the catalogue; its translation is written by hand."""
    known = {one.id: one for one in catalogue_of(language) if one.id}
    for text in desk_texts():
        if not text.id:
            continue
        assert text.id in known, text.id
        forms = as_forms(known[text.id].string)
        assert all(forms), text.id
        asked = as_forms(text.id) if isinstance(text.id, tuple) else as_forms(text.id) * len(forms)
        for wanted, form in zip(asked, forms, strict=True):
            assert values(form) == values(wanted), (wanted, form)
    assert len(known) == sum(bool(text.id) for text in desk_texts()), "a text that nothing says any more"


def as_forms(said: Any) -> tuple[str, ...]:
    """One text, or those of one and of many."""
    return tuple(said) if isinstance(said, tuple | list) else (str(said or ""),)


def values(text: str) -> set[str]:
    """The values that a text takes, and whether it has a percent sign."""
    return set(re.findall(r"%\((\w+)\)s|(?:%%)", text)) | ({"%"} if "%%" in text else set())


def test_no_template_says_a_text_that_is_in_no_catalogue() -> None:
    for file in sorted(TEMPLATES.glob("*.html")):
        whole = re.sub(r"(?s)\{% macro (?:form|at)\(.*?endmacro %\}", "", file.read_text())
        source = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", "\x00", whole, flags=re.DOTALL)
        bare = re.sub(r"<(script|style|code)\b.*?</\1>|<kbd>.*?</kbd>", "", source, flags=re.DOTALL)
        texts = [text for text in re.findall(r">([^<>]*)<", bare) if re.search(r"[A-Za-z]{3,}", text)]
        said = [text for text in texts if re.sub(r"[\x00 ,·;:()\n]+", " ", text).strip() not in OWN_NAMES]
        assert said == [], (file.name, said)
        attributes = re.findall(
            r'(?:title|aria-label|placeholder|data-says)="([^"]*[A-Za-z]{3,}[^"]*)"', bare
        )
        assert attributes == [], (file.name, attributes)


OWN_NAMES = {"Countersign", "USD", "UTC"}
"""What is called the same in every language."""


@pytest.mark.parametrize("name", SHOWN)
def test_every_word_of_the_vocabulary_is_said_as_people_say_it(name: str) -> None:
    missing = [word for word in get_args(getattr(vocabulary, name)) if word not in PLAIN]
    assert missing == []
    assert not any("_" in text for text in PLAIN.values())


def test_a_word_that_a_planner_added_is_shown_as_data() -> None:
    assert plain_word("shop_is_closed") == "shop is closed"


def test_a_program_is_told_in_one_form_whoever_else_reads() -> None:
    with read_in("de_DE"):
        assert _("note: empty") == "Notiz: leer"
    assert _("note: empty") == "note: empty"


PAGES = (
    "/", "/mine", "/alike", "/unknown", "/library", "/letters", "/releases", "/traces", "/audit", "/ops", "/receipts", "/runbook",
    "/customers/demo/C100",
)  # fmt: skip


async def test_every_page_is_german_for_whoever_reads_german(desk: DeskStage) -> None:
    """No sentence of the English page stands on the German one."""
    case, _state = await desk.stage.paused()
    texts = {one.id: one.string for one in catalogue_of("de") if isinstance(one.id, str) and len(one.id) > 14}
    same = {text for text, said in texts.items() if text == said}
    asked = {"accept-language": "de-AT,de;q=0.9,en;q=0.1"}
    async with desk.visit("demo-operator") as operator, desk.visit() as reviewer:
        for path in (*PAGES, f"/cases/{case.case_id}", f"/audit/cases/{case.case_id}"):
            answer = await (reviewer if path in {"/mine", "/alike"} else operator).get(path, headers=asked)
            assert answer.status_code == 200, path
            page = re.sub(r'(?s)<pre class="letter".*?</pre>|<article class="runbook".*', "", answer.text)
            assert '<html lang="de">' in page
            found = [text for text in texts if f">{text}<" in page and text not in same]
            assert found == [], (path, found)


def test_every_template_can_be_read() -> None:
    for file in TEMPLATES.glob("*.html"):
        environment().get_template(file.name)
