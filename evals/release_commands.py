"""The commands of releases: the gate, the ladder, and the way back."""

from pathlib import Path
from typing import Annotated

import typer

from evals.terminal import Failed, Json, command, group, report

release_app = group("Releases: the gate, the ladder, and the way back.")


@command(release_app, "gate", "countersign release gate evals/reports/refund-agent-episodes-v1.json")
async def release_gate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A graded report of the six episodes.")],
    as_json: Json = False,
) -> None:
    """Whether a report makes a release eligible for shadow, with the exact reason."""
    from evals.exam.receipt import read_receipt
    from policies.gate import decide

    gate = decide(read_receipt(file))
    report(dict(gate.to_json()), as_json, f"{gate.decision} {gate.reason}")
    if gate.decision == "hold":
        raise Failed(f"held: {gate.reason}")
