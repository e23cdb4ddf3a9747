"""What customers, orders and policies say is data on every page: shown to the letter, and nothing that acts."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from desk_kit import DeskStage

from refunds.canonical import canonical, sha256

SAMPLE = Path(__file__).parents[3] / "shared/data/injections/sample.jsonl"
OURS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<a href='javascript:alert(1)'>click</a>",
    "</blockquote></pre><form action=/ops/flags method=post>",
    "{{ visit.csrf }} {% include 'base.html' %}",
    "' onmouseover='alert(1)' x='",
    "<!-- --> <![CDATA[ ]]> &lt;b&gt; &#x3C;script&#x3E;",
    "\u202egnp.exe\u202c \u2066 \ufeff",
)
ACTIVE = frozenset(
    {
        "script",
        "iframe",
        "object",
        "embed",
        "link",
        "meta",
        "base",
        "form",
        "button",
        "input",
        "img",
        "svg",
        "style",
        "a",
    }
)
LIMIT = 3_000


class Read(HTMLParser):
    """The elements that can act, with all that they would do, and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.active: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        assert not any(name.startswith("on") for name in names), (tag, attrs)
        if tag in ACTIVE or any(name.startswith(("hx-", "data-key", "data-opens")) for name in names):
            self.active.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Read:
    found = Read()
    found.feed(page)
    return found


def texts() -> list[str]:
    found = list(OURS)
    if SAMPLE.exists():
        found += [json.loads(line)["text"] for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    return [text.replace("\x00", "").strip()[:LIMIT] for text in found]


def squeezed(text: str) -> str:
    """Without the white space, which a browser folds."""
    return "".join(text.split())


async def test_every_string_is_shown_and_none_acts(desk: DeskStage) -> None:
    """As a customer's message, as the name of an item, as a quoted clause: all of them on the pages of one case."""
    said = texts()
    stage = desk.stage
    case, _ = await stage.paused()
    async with desk.visit("demo-specialist") as specialist, desk.visit("demo-auditor") as auditor:
        pages = {
            f"/cases/{case.case_id}": specialist,
            "/": specialist,
            f"/audit/cases/{case.case_id}": auditor,
            "/audit": auditor,
        }
        before = {at: read((await who.get(at)).text).active for at, who in pages.items()}
        items = [
            {
                "line_id": f"L{number}",
                "sku": f"S{number}",
                "name": text,
                "category": text[:60],
                "unit_price_minor": 1,
                "quantity": 1,
            }
            for number, text in enumerate(said)
        ]
        await stage.sql(
            "update books.orders set lines = lines || %s::jsonb where order_id = 'D300'", json.dumps(items)
        )
        for text in said:
            await stage.sql(
                "insert into books.messages (tenant, case_id, author, body, body_sha256) values ('demo', %s, 'customer', %s, %s)",
                case.case_id, text, sha256(text),
            )  # fmt: skip
        [row] = await stage.sql("select body from books.proposals where case_id = %s", case.case_id)
        body = json.loads(row["body"])
        body["citations"] += [{**body["citations"][0], "quote": text} for text in said]
        body["draft"] = "\n".join(said)[:6_000]
        await stage.forced(
            "update books.proposals set body = %s, digest = %s where case_id = %s",
            canonical(body),
            sha256(canonical(body)),
            case.case_id,
        )
        await stage.forced(
            "update books.cases set ticket = %s where case_id = %s",
            canonical(
                {
                    **json.loads(
                        (await stage.sql("select ticket from books.cases where case_id = %s", case.case_id))[
                            0
                        ]["ticket"]
                    ),
                    "question": said[0] + said[1] + said[2],
                }
            ),
            case.case_id,
        )
        for at, who in pages.items():
            answer = await who.get(at)
            assert answer.status_code == 200, answer.text[:500]
            found = read(answer.text)
            if at == f"/cases/{case.case_id}":
                shown = squeezed("".join(found.text))
                missing = [text for text in said if shown.count(squeezed(text)) < 3]
                assert missing == [], f"{len(missing)} of {len(said)}"
                # Lines of an order are offered to be chosen, and each clause opens: those are the page's own.
                found.active = [one for one in found.active if not of_a_line(one)]
                before[at] = [one for one in before[at] if not of_a_line(one)]
            assert sorted(map(str, plain(found))) == sorted(map(str, plain_of(before[at]))), at


def of_a_line(active: Any) -> bool:
    """Whether an element of a page is the number of units of a line, or a clause that opens in the library."""
    return any(
        (name == "name" and str(value).startswith(("units:", "tick:")))
        or (name == "href" and str(value).startswith("/library/demo/"))
        for name, value in active[1]
    )


def plain(found: Read) -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
    return plain_of(found.active)


def plain_of(
    active: list[tuple[str, tuple[tuple[str, str | None], ...]]],
) -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
    """Without what changes with the case itself: its digest, and the address that carries it."""
    return [
        (
            tag,
            tuple(
                (name, None if name == "hx-get" or (name, tag) == ("value", "input") else value)
                for name, value in attrs
            ),
        )
        for tag, attrs in active
    ]


def test_the_outside_sample_is_read_where_it_is_there() -> None:
    if not SAMPLE.exists():
        pytest.skip("no outside data here")
    assert len(texts()) > 800
