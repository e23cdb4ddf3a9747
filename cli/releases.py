"""The commands of releases: the gate, the stages, and the way back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.terminal import CommandFailed, Json, Why, command, group, report

release_app = group("Releases: the gate, the stages, and the way back.", "countersign release list")


@command(release_app, "gate", "countersign release gate evals/reports/refund-agent-episodes-v1.json")
async def release_gate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A graded report of the six episodes.")],
    as_json: Json = False,
) -> None:
    """Whether a report makes a release eligible for shadow, with the exact reason."""
    from evals.exam.receipt import read_receipt
    from policies.gate import decide_gate

    gate = decide_gate(read_receipt(file))
    report(dict(gate.to_json()), as_json, f"{gate.decision} {gate.reason}")
    if gate.decision == "hold":
        raise CommandFailed(f"held: {gate.reason}")


Name = Annotated[str, typer.Argument(metavar="RELEASE", help="Its name: the agent_version of its manifest.")]


@command(release_app, "list", "countersign release list")
async def release_list(as_json: Json = False) -> None:
    """Every release, how far it has come, by whom and why, and what its next step lacks."""
    from cli.terminal import office, person, tell
    from desk.releases import ReleaseStages
    from policies.rollout import the_rollout

    async with office() as opened:
        who = await person(opened, "demo-operator")
        rows = [one.to_json() for one in await ReleaseStages(opened.desk_books, the_rollout()).reports(who)]
    tell(rows, as_json, _stages)


@command(
    release_app,
    "enter",
    "countersign release enter v3.json --receipt v3.receipt.json --reason 'a new prompt'",
)
async def release_enter(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="The manifest of the release.")],
    receipt: Annotated[Path, typer.Option(help="The receipt of its exam.")],
    reason: Why,
    found: Annotated[
        bool,
        typer.Option("--found", help="Keep releases from now on, with this one live: the first of a house."),
    ] = False,
    as_json: Json = False,
) -> None:
    """A release into the books: eligible for shadow where its receipt passes the gate, graded anew; held where not."""
    from cli.terminal import office, person
    from desk.releases import ReleaseStages
    from evals.exam.receipt import commit, read_receipt
    from evals.exam.sets import honest
    from policies.manifest import Manifest, ManifestMismatch
    from policies.rollout import the_rollout

    try:
        pinned = Manifest.read(manifest.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestMismatch(f"{manifest}: {error.strerror}") from None
    said = honest(read_receipt(receipt), str(receipt))
    async with office() as opened:
        who = await person(opened)
        release_stages = ReleaseStages(opened.desk_books, the_rollout())
        stage = await release_stages.enter(who, pinned, said, reason, code=commit(), founding=found)
    report({"release": stage.release, "state": stage.state}, as_json, f"{stage.release}: {stage.state}")


@command(
    release_app,
    "promote",
    "countersign release promote refund_agent_v3 --percent 10 --reason 'shadow agrees'",
)
async def release_promote(
    release: Name,
    reason: Why,
    percent: Annotated[int, typer.Option(min=0, max=50, help="To canary: the share of customers.")] = 0,
    tenant: Annotated[list[str] | None, typer.Option(help="To canary: a tenant, whole.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Another share for a canary that stays one.")
    ] = False,
    as_json: Json = False,
) -> None:
    """One step up, where it is earned: shadow, canary, live."""
    from cli.terminal import office, person
    from desk.releases import ReleaseStages
    from policies.rollout import the_rollout

    async with office() as opened:
        who = await person(opened)
        stage = await ReleaseStages(opened.desk_books, the_rollout()).promote(
            who, release, reason, to="canary" if again else None, percent=percent, tenants=tenant or ()
        )
    share = f" for {stage.percent} % of customers" if stage.percent else ""
    whom = f" for {', '.join(stage.tenants)}" if stage.tenants else ""
    line = f"{stage.release}: {stage.state}{share}{whom}"
    report(
        {
            "release": stage.release,
            "state": stage.state,
            "percent": stage.percent,
            "tenants": list(stage.tenants),
        },
        as_json,
        line,
    )


@command(release_app, "rollback", "countersign release rollback --reason 'refusals rose'")
async def release_rollback(
    reason: Why,
    release: Annotated[
        str | None,
        typer.Argument(
            metavar="[RELEASE]",
            help="The canary, or what is live where another stands behind it, where none is named.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Take a release back, now, for every process; what waits on its word is proposed again."""
    from cli.terminal import office, person
    from desk.releases import ReleaseStages
    from policies.rollout import the_rollout

    async with office() as opened:
        who = await person(opened)
        taken, proposed_again = await ReleaseStages(opened.desk_books, the_rollout()).roll_back(
            who, release, reason
        )
    report(
        {"release": taken, "state": "rolled_back", "proposed_again": proposed_again},
        as_json,
        f"{taken}: rolled_back; {proposed_again} cases are proposed again",
    )


@command(release_app, "compare", "countersign release compare refund_agent_v2 refund_agent_v3 --out ab.png")
async def release_compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A release.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    days: Annotated[int, typer.Option(min=1, max=90, help="How far back.")] = 14,
    look: Annotated[int, typer.Option(min=1, max=20, help="The how many-eth look at this comparison.")] = 1,
    of: Annotated[int, typer.Option(min=1, max=20, help="How many looks were planned.")] = 1,
    out: Annotated[Path | None, typer.Option(help="A picture, PNG.")] = None,
    as_json: Json = False,
) -> None:
    """Two releases over the cases of the books: success, cost, latency and paths, each with its interval."""
    from cli.terminal import office, person, say
    from desk.releases import ReleaseStages
    from evals.exam.comparison import MeasuredCase, compare, draw_comparison
    from policies.rollout import the_rollout

    if look > of:
        raise typer.BadParameter("--look: one of the looks that were planned with --of")
    async with office() as opened:
        who = await person(opened, "demo-operator")
        release_stages = ReleaseStages(opened.desk_books, the_rollout())
        own = [await release_stages.measured(who, name, days) for name in (a, b)]
        shadows = [await release_stages.measured(who, name, days, shadow=True) for name in (a, b)]
    # The same cases where one of the two was the other's shadow; otherwise each its own, with people's words on them.
    for one, other in ((0, 1), (1, 0)):
        same = {row["case_id"] for row in own[one]} & {row["case_id"] for row in shadows[other]}
        if same:
            own[one] = [row for row in own[one] if row["case_id"] in same]
            own[other] = [row for row in shadows[other] if row["case_id"] in same]
            break
    else:
        same = set()
    sides = [
        [
            MeasuredCase(
                str(row["case_id"]),
                not (row["blocked"] or row["handed_over"])
                and (bool(same) or not row["decided"] or bool(row["approved"])),
                int(row["cost_micros"]),
                int(row["latency_ms"]),
                row["path"],
            )
            for row in side
        ]
        for side in own
    ]
    found = compare((a, b), sides[0], sides[1], look=look, of=of)
    if out is not None:
        draw_comparison(found, sides[0], sides[1], out)
    if as_json:
        report(found.to_json(), as_json, "")
    else:
        say(_comparison(found.to_json()))


def _stages(rows: Sequence[Mapping[str, Any]]) -> str:
    """The releases and what their next step lacks."""
    from cli.printing import table

    if not rows:
        return "no release is kept here: this house runs what its processes were started with"
    return table(
        ("release", "state", "takes", "cases", "by", "because", "next", "lacks"),
        (
            (
                row["release"],
                f"{row['state']}{' *' if row['live'] else ''}",
                " ".join([f"{row['percent']} %"] * bool(row["percent"]) + row["tenants"]),
                f"{row['cases']} ({row['shadow_cases']} in shadow)",
                row["by"] or "the watch",
                row["reason"],
                row["next"] or "",
                "; ".join(row["lacks"]),
            )
            for row in rows
        ),
    )


def _comparison(found: Mapping[str, Any]) -> str:
    """Two releases side by side."""
    from cli.printing import table

    rows: list[tuple[str, str]] = [
        ("verdict", f"{found['verdict'].replace('_', ' ')}: {found['why']}"),
        (
            "cases",
            f"{found['cases'][0]} and {found['cases'][1]}{', the same ones' if found['paired'] else ''}",
        ),
    ]
    for name, unit, scale in (
        ("success", "points", 100),
        ("cost_micros", "micros", 1),
        ("latency_ms", "ms", 1),
    ):
        one = found[name]
        rows.append(
            (
                name,
                f"{scale * one['difference']:+.1f} {unit}"
                + (
                    f" ({scale * one['low']:+.1f} to {scale * one['high']:+.1f})"
                    if one["low"] is not None
                    else ""
                ),
            )
        )
    rows += [(path["path"][:60] or "no step", f"{path['a']} and {path['b']}") for path in found["paths"]]
    return table(("", f"{found['b']} less {found['a']}"), rows)
