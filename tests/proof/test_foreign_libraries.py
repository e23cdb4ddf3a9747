"""A library that nobody here wrote: imported as it is, with nothing internal or expired among what counts, and found in."""

import os
from datetime import date
from pathlib import Path

import pytest

from app.imports import import_library
from app.shop import DEMO
from policies.audience import is_for_staff, is_titled_internal, window_of
from policies.clause_lines import Edition, read_clause_lines
from policies.documents import PolicyDocument
from policies.sections import passages
from records.books import Books
from records.library import review
from refunds.evidence import Abstain
from refunds.ids import PersonId
from tools.get_policy_evidence import get_policy_evidence

DATA = Path(os.environ.get("COUNTERSIGN_DATA", Path(__file__).parents[3] / "shared" / "data")) / "policies"
TODAY = date(2026, 11, 1)

# Written for this law, from the documents; each with words of the title of a document that answers it.
BANK = (
    ("how much can I send per day with everyone pay on a new account", "Sending limits"),
    ("can I have a light blue account without a monthly fee", "Light Blue"),
    ("what APY does the platinum account pay and how often is it compounded", "Platinum Account"),
    ("how many fleet drivers may I add to my silver zoom card", "Silver Zoom Card"),
    ("how old do I have to be to open a dark green account", "Dark Green Account"),
    ("how long do you keep the activity logs of our users", "Audit Trail"),
    ("do I need 10,000 for the best interest on my gold account", "interest rate"),
    ("how are the grams of carbon offset worked out for a purchase on evergreen", "carbon offsets"),
    ("why was a fee taken from my True Blue account", "True Blue"),
    ("what is the lowest sum I must pay each month on the silver rewards card", "Silver Rewards Card"),
)


def read(name: str) -> tuple[PolicyDocument, ...]:
    file = DATA / name
    if not file.is_file():
        pytest.skip(f"the outside data is not there: {file}")
    bad: dict[int, str] = {}
    documents = read_clause_lines(file, None, Edition(), bad)
    assert bad == {}
    return documents


@pytest.mark.parametrize(
    ("name", "documents", "clauses"),
    [("bank_knowledge.jsonl", 698, 3_000), ("retail_guidelines.jsonl", 55, 800)],
)
def test_it_is_read_as_it_is_with_its_passages_as_clauses(name: str, documents: int, clauses: int) -> None:
    read_in = read(name)
    assert len({document.title for document in read_in}) >= documents * 0.9
    assert sum(len(document.clauses) for document in read_in) >= clauses
    for document in read_in:
        assert len({clause.number for clause in document.clauses}) == len(document.clauses), document.title
    assert max(len(clause.quote) for document in read_in for clause in document.clauses) <= 2_000


@pytest.mark.parametrize("name", ["bank_knowledge.jsonl", "retail_guidelines.jsonl"])
def test_nothing_internal_and_no_offer_that_ended_is_among_what_counts(name: str) -> None:
    for document in read(name):
        if document.status != "approved":
            continue
        assert not is_titled_internal(document.title), document.title
        for clause in document.clauses:
            assert not is_for_staff(clause.quote), clause.quote
        window = window_of(document.title, "\n".join(clause.quote for clause in document.clauses))
        assert window is None or document.expires_on is not None, document.title


async def test_what_a_customer_asks_is_offered_from_it(url: str) -> None:
    documents = read("bank_knowledge.jsonl")
    titles = {f"{document.document_id}-v{document.version}": document.title for document in documents}
    async with Books.open(url, size=2) as owner:
        await import_library(url, DEMO, DATA / "bank_knowledge.jsonl", None, Edition())
        async with owner.transaction(DEMO) as tx:
            waiting = [document for document in documents if document.status == "approved"]
            for document in waiting:
                await review(
                    tx,
                    document.document_id,
                    document.version,
                    document.sha256,
                    "approve",
                    PersonId("demo-specialist"),
                )
        found = 0
        for question, title in BANK:
            evidence = await get_policy_evidence(owner.reading(DEMO), DEMO, question, "US", TODAY)
            assert isinstance(evidence, Abstain), "words alone do not say that a clause answers"
            shown = [titles.get(offer.citation.citation_id, "") for offer in evidence.offers[:3]]
            found += any(title in one for one in shown)
            assert all(
                document.status == "approved" and (document.expires_on is None or document.expires_on > TODAY)
                for document in documents
                for offer in evidence.offers
                if (document.document_id, document.version)
                == (offer.citation.document_id, offer.citation.version)
            )
        assert found >= 7, found


@pytest.mark.parametrize(
    ("text", "staff"),
    [
        ("Ask the customer for the order number.", True),
        ("Use open_bank_account_4821 to open it.", True),
        ("Enter '8' into the box and click on [Offer Refund]", True),
        ("Tell them that nothing can be done.", True),
        ("If the customer says yes, go on.", True),
        ("Agents must follow this order.", True),
        ("New customers receive a rate of 0 % for a year.", False),
        ("Never share your PIN, and ask us where you are not sure.", False),
        ("Our representatives can review your statement.", False),
        ("Gold members get unlimited returns", False),
    ],
)
def test_whom_a_text_speaks_to_is_told_by_its_words(text: str, staff: bool) -> None:
    assert is_for_staff(text) is staff


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("Promotion from 2025-08-01 through 2025-12-15.", (date(2025, 8, 1), date(2025, 12, 16))),
        (
            "PROMOTION NOTICE - ACTIVE FROM 10/12/2025 TO 11/12/2025:",
            (date(2025, 10, 12), date(2025, 11, 13)),
        ),
        ("Promo. Start date: 2024-06-01\n- End date: 2024-12-31", (date(2024, 6, 1), date(2025, 1, 1))),
        ("Accounts opened from 2025-08-01 through 2025-12-15.", None),
        ("A promotion of 2025-08-01. It was seen on 2025-12-15.", None),
        ("Promotion from 2025-13-01 to 2025-12-99.", None),
    ],
)
def test_an_offer_counts_on_its_days(text: str, window: tuple[date, date] | None) -> None:
    assert window_of("Card", text) == window


def test_a_text_is_cut_where_it_is_cut_itself_and_nothing_is_lost() -> None:
    text = (
        "# A\n\nFirst.\n\n## B\n\nThese:\n\n- one\n- two\n\n"
        + "x. " * 300
        + "\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    )
    found = passages(text, 500)
    assert [one.heading for one in found][:2] == ["A", "A › B"]
    assert found[1].text == "These:\n\n- one\n- two"
    assert all(one.text in text and len(one.text) <= 500 for one in found)
    words = {word for one in found for word in one.text.split()}
    assert words >= set(text.split()) - {"#", "##", "A", "B"}
