"""Charts: how a house went by the hour of its last day and by the day of its last month."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from desk.catalogue import _
from records.books import Books, Row
from refunds.ids import TenantId

WIDTH, HEIGHT = 520, 120


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over moments, in the units of a picture."""

    title: str
    top: str
    lines: tuple["ChartLine", ...]
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class ChartLine:
    """One line: its name, what it ends at, and its points as a picture has them; an hour without a value has none."""

    name: str
    last: str
    points: str
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class _Series:
    title: Callable[[], str]
    lines: tuple[tuple[Callable[[], str], Callable[[Row], float | None]], ...]
    shown: Callable[[float], str]


def _share(row: Row) -> float | None:
    return row["approved"] / row["decided"] if row["decided"] else None


_SERIES = (
    _Series(
        lambda: _("Cases"),
        (
            (lambda: _("came in"), lambda row: row["came_in"]),
            (lambda: _("decided"), lambda row: row["decided"]),
        ),
        lambda value: f"{value:.0f}",
    ),
    _Series(
        lambda: _("Waited for a decision, median"),
        ((lambda: _("minutes"), lambda row: row["waited"] / 60 if row["waited"] is not None else None),),
        lambda value: f"{value:.1f}",
    ),
    _Series(
        lambda: _("Approved, of what was decided"),
        ((lambda: _("share"), _share),),
        lambda value: f"{100 * value:.0f} %",
    ),
    _Series(
        lambda: _("Spent on models"),
        ((lambda: "USD", lambda row: row["cost_micros"] / 1_000_000),),
        lambda value: f"{value:.2f}",
    ),
    _Series(
        lambda: _("The provider's time, median"),
        ((lambda: _("seconds"), lambda row: row["provider_seconds"]),),
        lambda value: f"{value:.1f}",
    ),
)


async def charts_of(books: Books, tenant: TenantId) -> dict[str, list[Chart]]:
    """The charts of a tenant, by `day` and `month`."""
    reads = books.reading(tenant)
    day = await reads.rows("came_in_by_hour", unit="hour", step="1 hour", back="23 hours")
    month = await reads.rows("came_in_by_hour", unit="day", step="1 day", back="29 days")
    return {"day": drawn(day), "month": drawn(month)}


def drawn(rows: Sequence[Row]) -> list[Chart]:
    """The charts of rows in their order."""
    return [chart for series in _SERIES if (chart := _chart(series, rows)) is not None]


def _chart(series: _Series, rows: Sequence[Row]) -> Chart | None:
    """One chart; None where nothing has a value."""
    values = [[read(row) for row in rows] for _name, read in series.lines]
    known = [value for line in values for value in line if value is not None]
    if not rows or not known or max(known) == 0:
        return None
    top = max(known)
    step = WIDTH / max(1, len(rows) - 1)
    lines = []
    for (name, _read), line in zip(series.lines, values, strict=True):
        dots = tuple(
            (round(place * step, 1), round(HEIGHT - HEIGHT * value / top, 1))
            for place, value in enumerate(line)
            if value is not None
        )
        last = next((value for value in reversed(line) if value is not None), 0.0)
        lines.append(ChartLine(name(), series.shown(last), " ".join(f"{x},{y}" for x, y in dots), dots))
    return Chart(series.title(), series.shown(top), tuple(lines), rows[0]["hour"], rows[-1]["hour"])
