"""A stranger's order book: read by line, written once, followed as it moves on."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.imports import ImportedOrders, import_order_book
from refunds.ids import TenantId
from refunds.incoming_order import BadOrder, Unstated, read_order_line
from refunds.money import MAX_MINOR, Currency

SHOP = TenantId("shop")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
UNSTATED = Unstated(Currency("USD"), "US", NOW)
LINE: dict[str, Any] = {
    "order_id": "#W1",
    "user_id": "ann",
    "status": "pending",
    "items": [
        {"item_id": "1", "name": "Lamp", "cents": 1_000},
        {"item_id": "2", "name": "Chair", "cents": 2_500},
    ],
    "payments": [{"method": "card_1", "cents": 3_500, "type": "payment"}],
}


def read(**change: Any) -> Any:
    return read_order_line(json.dumps(LINE | change), SHOP, UNSTATED)


def said(_done: int, _of: int) -> None:
    """Nobody watches."""


async def imported(url: str, folder: Path, *lines: Any) -> ImportedOrders:
    file = folder / "orders.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return await import_order_book(url, SHOP, file, currency_code="USD", region="US", said=said)


def rows(url: str, query: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_a_line_of_an_export_is_an_order() -> None:
    order = read()
    assert [line.sku for line in order.lines] == ["1", "2"]
    assert order.payments[0].payment_id == "#W1:1"
    assert order.payments[0].left.amount_minor == 3_500
    assert (order.region, order.ordered_at) == ("US", NOW)


def test_what_went_back_before_is_taken_off_its_own_method() -> None:
    paid = [{"method": "a", "cents": 500}, {"method": "b", "cents": 900}]
    order = read(payments=[*paid, {"method": "b", "cents": 400, "type": "refund"}])
    assert [payment.refunded.amount_minor for payment in order.payments] == [0, 400]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"order_id": "a b"}, "order_id"),
        ({"items": []}, "items"),
        ({"items": [{"item_id": "1", "name": "Lamp", "cents": 10.5}]}, "items.0"),
        ({"items": [{"item_id": "1", "name": "Lamp", "cents": -1}]}, "items.0"),
        ({"items": [{"item_id": "1", "name": "Lamp", "cents": "10"}]}, "items.0"),
        ({"items": [{"item_id": "1", "name": "La\u0000mp", "cents": 1}]}, "items.0.name"),
        ({"items": [{"item_id": "1", "name": "Lamp", "cents": MAX_MINOR + 1}]}, "items.0"),
        ({"status": "lost"}, "status"),
        ({"surprise": 1}, "surprise"),
        ({"currency": "usd"}, "currency"),
        ({"ordered_at": 1_700_000_000}, "ordered_at"),
        ({"ordered_at": "2026-01-01T00:00:00"}, "ordered_at"),
        ({"ordered_at": "20250101"}, "ordered_at"),
        ({"ordered_at": "0001-01-01T00:00:00+02:00"}, "ordered_at"),
        ({"ordered_at": "9999-12-31T23:59:59-05:00"}, "ordered_at"),
        ({"order_id": "x" * 128}, "payments"),
        ({"ordered_at": "2026-02-01T00:00:00Z", "delivered_at": "2026-01-01T00:00:00Z"}, "delivered_at"),
        ({"payments": [{"method": "a", "cents": 1, "type": "refund"}]}, "payments"),
        ({"payments": [{"payment_id": "p", "method": "a", "cents": 1}] * 2}, "payments"),
    ],
)
def test_a_line_that_is_no_order_is_named_by_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadOrder, match=field):
        read(**change)


def test_a_message_about_a_line_keeps_its_letters() -> None:
    with pytest.raises(BadOrder, match=r"^currency: string should match pattern '\^\[A-Z\]\{3\}\$'$"):
        read(currency="usd")


@given(
    paid=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 10**6)), min_size=1, max_size=4),
    back=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 10**6)), max_size=3),
)
def test_no_payment_has_more_taken_off_than_was_paid(
    paid: list[tuple[str, int]], back: list[tuple[str, int]]
) -> None:
    lines = [{"method": method, "cents": cents} for method, cents in paid]
    lines += [{"method": method, "cents": cents, "type": "refund"} for method, cents in back]
    try:
        order = read(payments=lines)
    except BadOrder:
        methods = {method for method, _ in back}
        assert any(
            sum(c for m, c in back if m == method) > sum(c for m, c in paid if m == method)
            for method in methods
        )
        return
    assert all(0 <= payment.refunded.amount_minor <= payment.paid.amount_minor for payment in order.payments)
    assert sum(p.refunded.amount_minor for p in order.payments) == sum(cents for _, cents in back)


async def test_a_bad_line_is_said_by_its_number_and_stops_no_other(url: str, tmp_path: Path) -> None:
    done = await imported(
        url, tmp_path, LINE, "{", LINE | {"order_id": "#W2", "status": "lost"}, LINE | {"order_id": "#W3"}
    )
    assert (done.read, done.new, sorted(done.bad)) == (4, 2, [2, 3])
    assert "not JSON" in done.bad[2]
    assert "status" in done.bad[3]
    assert rows(url, "select order_id from books.orders where tenant = 'shop' order by 1") == [
        ("#W1",),
        ("#W3",),
    ]


async def test_importing_twice_changes_nothing(url: str, tmp_path: Path) -> None:
    await imported(url, tmp_path, LINE)
    before = rows(url, "select * from books.orders where tenant = 'shop'")
    done = await imported(url, tmp_path, LINE, LINE)
    assert (done.new, done.moved, done.bad) == (0, 0, {})
    assert rows(url, "select * from books.orders where tenant = 'shop'") == before
    assert rows(url, "select count(*) from books.payments where tenant = 'shop'") == [(1,)]


async def test_an_order_moves_on_and_never_back(url: str, tmp_path: Path) -> None:
    delivered = LINE | {"status": "delivered", "delivered_at": "2026-05-01T00:00:00Z"}
    await imported(url, tmp_path, LINE)
    assert (await imported(url, tmp_path, delivered)).moved == 1
    for back in (LINE, LINE | {"status": "cancelled"}):
        done = await imported(url, tmp_path, back)
        assert "does not go back" in done.bad[1]
    assert rows(url, "select status::text from books.orders where tenant = 'shop'") == [("delivered",)]


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"user_id": "bob", "status": "delivered"}, "another customer"),
        ({"items": LINE["items"][:1], "status": "delivered"}, "lines"),
        ({"payments": [{"method": "card_1", "cents": 9_999}]}, "other payments"),
    ],
)
async def test_an_order_is_never_written_over(
    url: str, tmp_path: Path, change: dict[str, Any], because: str
) -> None:
    await imported(url, tmp_path, LINE)
    before = rows(url, "select * from books.orders where tenant = 'shop'")
    done = await imported(url, tmp_path, LINE | change)
    assert because in done.bad[1]
    assert rows(url, "select * from books.orders where tenant = 'shop'") == before
    assert rows(url, "select amount_minor from books.payments where tenant = 'shop'") == [(3_500,)]


async def test_lines_of_one_order_are_followed_one_after_the_other(url: str, tmp_path: Path) -> None:
    way = [LINE | {"status": status} for status in ("pending", "processed", "shipped")]
    done = await imported(
        url, tmp_path, *way, LINE | {"status": "delivered", "delivered_at": "2026-05-01T00:00:00Z"}
    )
    assert (done.new, done.moved, done.bad) == (1, 3, {})
    assert rows(url, "select status::text from books.orders where tenant = 'shop'") == [("delivered",)]


async def test_an_order_that_came_keeps_the_day_it_came(url: str, tmp_path: Path) -> None:
    await imported(url, tmp_path, LINE | {"status": "delivered", "delivered_at": "2026-05-01T00:00:00Z"})
    done = await imported(url, tmp_path, LINE | {"status": "delivered"})
    assert (done.moved, done.bad) == (0, {})
    assert rows(url, "select delivered_at::date::text from books.orders where tenant = 'shop'") == [
        ("2026-05-01",)
    ]


async def test_a_line_that_is_left_out_leaves_nothing_behind(url: str, tmp_path: Path) -> None:
    paid = [{"payment_id": "p1", "method": "a", "cents": 3_500}]
    more = [*paid, {"payment_id": "p2", "method": "b", "cents": 100}]
    other = LINE | {"order_id": "#W2"}
    done = await imported(url, tmp_path, LINE | {"payments": paid}, other | {"payments": more})
    assert "another order's" in done.bad[2]
    assert rows(url, "select order_id from books.orders where tenant = 'shop'") == [("#W1",)]
    again = await imported(url, tmp_path, LINE | {"payments": paid}, other | {"payments": more[1:]})
    assert (again.new, again.bad) == (1, {})
    moved = await imported(url, tmp_path, LINE | {"payments": paid, "region": "EU", "status": "delivered"})
    assert "region" in moved.bad[1]
    assert rows(url, "select status::text from books.orders where order_id = '#W1'") == [("pending",)]


async def test_one_order_twice_in_a_part_has_the_payments_of_the_first(url: str, tmp_path: Path) -> None:
    def paid(name: str) -> list[dict[str, Any]]:
        return [{"payment_id": name, "method": "card_1", "cents": 3_500}]

    done = await imported(url, tmp_path, LINE | {"payments": paid("p1")}, LINE | {"payments": paid("p2")})
    assert "other payments" in done.bad[2]
    assert rows(url, "select payment_id from books.payments where tenant = 'shop'") == [("p1",)]


async def test_a_file_that_cannot_be_read_opens_no_tenant(url: str, tmp_path: Path) -> None:
    with pytest.raises(OSError):
        await import_order_book(url, SHOP, tmp_path, currency_code="USD", region="US", said=said)
    assert rows(url, "select tenant from books.tenants where tenant = 'shop'") == []


async def test_one_file_with_two_orders_of_one_name_keeps_the_first(url: str, tmp_path: Path) -> None:
    done = await imported(url, tmp_path, LINE, LINE | {"user_id": "bob"})
    assert (done.new, sorted(done.bad)) == (1, [2])
    assert rows(url, "select customer_id from books.orders where tenant = 'shop'") == [("ann",)]
