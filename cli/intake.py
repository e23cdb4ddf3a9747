"""The commands of the intake bundle: sign with it, train it."""

from pathlib import Path
from typing import Annotated

import typer

from cli.cases import tickets_of_file
from cli.terminal import (
    CommandFailed,
    Json,
    Most,
    command,
    group,
    home,
    office,
    person,
    report,
    say,
    tell,
    tenant_id,
)

intake_app = group("The intake bundle.", "countersign intake sign < ticket.json")


@command(intake_app, "sign", "countersign intake sign < ticket.json")
async def intake_sign(as_json: Json = True) -> None:
    """Sign a ticket's bundle_version and route as they stand, with the development key."""
    from datetime import UTC, datetime

    from app.house import home_private_key, make_keys
    from policies.intake import sign
    from refunds.canonical import canonical

    del as_json  # a signed ticket is JSON in any case
    make_keys(home())
    for ticket in tickets_of_file("-"):
        say(canonical(sign(ticket, home_private_key(home(), "intake"), datetime.now(UTC)).to_json()))


@command(intake_app, "train", "countersign intake train --out policies/reading/bundle.json")
async def intake_train(
    out: Annotated[Path, typer.Option(help="Where the bundle goes.")] = Path("policies/reading/bundle.json"),
    data: Annotated[
        Path, typer.Option(envvar="COUNTERSIGN_DATA", help="The outside data; without it, own rows alone.")
    ] = Path("../shared/data"),
    corrections: Annotated[
        Path | None, typer.Option(help="What people corrected, as `intake corrections` prints it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train the reader's bundle: the same bytes from the same rows, and what to write into the manifest."""
    from hashlib import sha256

    from evals.intake.rows import corrected_tickets, outside_rows, own_rows, own_tickets
    from evals.intake.training import VERSION, train

    own, outside = list(own_rows()), list(outside_rows(data / "intake"))
    tickets = [*own_tickets(), *(corrected_tickets(corrections) if corrections else ())]
    bundle = train([*own, *outside], tickets, VERSION)
    out.write_bytes(bundle)
    told = {
        "out": str(out),
        "version": VERSION,
        "sha256": sha256(bundle).hexdigest(),
        "own_rows": len(own),
        "outside_rows": len(outside),
    }
    report(
        told, as_json, f"{out}: version {VERSION}, {len(own)} + {len(outside)} rows, sha256 {told['sha256']}"
    )


@command(intake_app, "corrections", "countersign intake corrections --tenant demo > corrections.jsonl")
async def intake_corrections(
    tenant: Annotated[str, typer.Option(help="Whose cases.")] = "demo",
    most: Most = 500,
    as_json: Json = True,
) -> None:
    """What people corrected, the customers' words masked, a JSON line each: rows for `intake train --corrections`."""
    import json

    from desk.corrected_rows import corrected_rows

    del as_json  # a training row is JSON in any case
    async with office() as opened:
        who = await person(opened, "demo-auditor")
        named = tenant_id(tenant)
        who.may_see(named)
        async for row in corrected_rows(opened.desk_books, named, most):
            say(json.dumps(row, ensure_ascii=False))


@command(intake_app, "compare", "countersign intake compare policies/reading/bundle.json new.json")
async def intake_compare(
    old: Annotated[Path, typer.Argument(help="The bundle of now.")],
    new: Annotated[Path, typer.Argument(help="The bundle that may take its place.")],
    as_json: Json = False,
) -> None:
    """Two bundles on the frozen sets, errors towards money first; fails where the new one has a new one of those."""
    from cli.printing import compared_table, figures_table
    from evals.intake.comparison import compared, urgent_compared, worse_for_money
    from policies.reading import TrainedReader
    from policies.reading.bundle import bundle_of

    readers = []
    for file in (old, new):
        try:
            readers.append(TrainedReader(bundle_of(file.read_bytes())))
        except (OSError, ValueError, KeyError) as error:
            raise CommandFailed(f"{file}: no bundle: {error}") from None
    rows = list(compared(*readers))
    tell([row.to_json() for row in rows], as_json, compared_table)
    tell(list(urgent_compared(*readers)), as_json, figures_table)
    worse = worse_for_money(rows)
    if worse:
        raise CommandFailed(
            f"the new bundle is wrong towards money where the old one is not: {', '.join(worse)}"
        )
