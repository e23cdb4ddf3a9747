"""The commands of a trace: of one case, and of every run that went a certain way."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cli.terminal import Json, command, find, office, person, report, tell

if TYPE_CHECKING:
    from records.books import Row


class OrOfCase(TyperGroup):
    """`trace CASE` is `trace show CASE`: the case is what is asked for most."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  (typer keeps its Click to itself)
        named = [argument for argument in args if not argument.startswith("-")]
        if named and named[0] not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


trace_app = typer.Typer(
    cls=OrOfCase,
    help="What the agent did: of one case, or of every run that fits.",
    epilog="Example: countersign trace r-1",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@command(trace_app, "show", "countersign trace r-104")
async def trace_show(
    case: Annotated[str, typer.Argument(metavar="CASE", help="A case id, or the ticket id of one.")],
    as_json: Json = False,
) -> None:
    """What the agent asked for and was given, with the budget audit."""
    from cli.printing import trace_table

    async with office() as opened:
        _, found = await find(opened, case)
        state = await opened.state(found)
    tell(state["trace"] if isinstance(state["trace"], list) else [], as_json, trace_table)
    report({"budget_audit": state["budget_audit"]}, as_json, f"budget audit: {state['budget_audit']}")


@command(trace_app, "search", "countersign trace search --reason no_approved_evidence --since 2026-11-01")
async def trace_search(
    tenant: Annotated[str | None, typer.Option(help="All of yours where none is named.")] = None,
    route: Annotated[str | None, typer.Option(help="As guarded_agent.")] = None,
    release: Annotated[str | None, typer.Option(help="As refund_agent_v2.")] = None,
    prompt: Annotated[str | None, typer.Option(help="As plan-1.")] = None,
    model: Annotated[str | None, typer.Option(help="As gpt-5-mini.")] = None,
    tool: Annotated[str | None, typer.Option(help="As lookup_order.")] = None,
    reason: Annotated[str | None, typer.Option(help="A reason, a status, a result or a finding.")] = None,
    since: Annotated[datetime | None, typer.Option(help="UTC; a week ago where nothing is said.")] = None,
    until: Annotated[datetime | None, typer.Option(help="UTC.")] = None,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="Runs of a tenant at most.")] = 200,
    as_json: Json = False,
) -> None:
    """Runs that fit, the newest first, with what they cost, how long they took and which way they went."""
    from datetime import UTC

    from desk.traces import Sought, search
    from refunds.ids import TenantId

    def utc(moment: datetime | None) -> datetime | None:
        return moment.replace(tzinfo=moment.tzinfo or UTC) if moment else None

    sought = Sought(
        TenantId(tenant) if tenant else None,
        route,
        release,
        prompt,
        model,
        tool,
        reason,
        utc(since),
        utc(until),
    )
    async with office() as opened:
        who = await person(opened, "demo-auditor")
        found = await search(opened.desk_books, who, sought, most=most)
    tell(found.runs, as_json, _runs)
    sums: dict[str, Any] = found.sums()
    line = (
        f"{sums['runs']} runs, {sums['tokens']} tokens, {sums['cost_micros'] / 1_000_000:.4f} USD, "
        f"p50 {sums['p50_ms']} ms, p95 {sums['p95_ms']} ms, p99 {sums['p99_ms']} ms"
    )
    report(sums, as_json, "\n".join((line, *(f"{runs:6} {path}" for path, runs in found.paths[:10]))))


def _runs(rows: "Sequence[Row]") -> str:
    from cli.printing import table

    return table(
        ("at", "ticket", "run", "status", "reason", "steps", "tokens", "ms", "models"),
        (
            (
                row["at"].strftime("%Y-%m-%d %H:%M:%S"),
                row["ticket_id"],
                row["run"],
                row["status"],
                row["reason"],
                row["steps"],
                row["tokens"],
                row["latency_ms"],
                ", ".join(row["models"]),
            )
            for row in rows
        ),
    )
