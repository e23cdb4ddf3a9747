"""The commands of the intake bundle: sign with it, train it."""

from pathlib import Path
from typing import Annotated

import typer

from cli.cases import tickets_of_file
from cli.terminal import Json, command, group, home, report, say

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
    as_json: Json = False,
) -> None:
    """Train the reader's bundle: the same bytes from the same rows, and what to write into the manifest."""
    from hashlib import sha256

    from evals.intake.rows import outside_rows, own_rows, own_tickets
    from evals.intake.training import VERSION, train

    own, outside = list(own_rows()), list(outside_rows(data / "intake"))
    bundle = train([*own, *outside], own_tickets(), VERSION)
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
