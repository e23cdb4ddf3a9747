"""The commands of the exam: 300 questions, and a stranger's orders."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from evals.terminal import Failed, Json, command, group, home, report, say, tell

exam_app = group("The exam.")


@command(exam_app, "questions", "countersign eval questions --half test")
async def eval_questions(
    half: Annotated[str | None, typer.Option(help="tuning, test or unseen; all where none is named.")] = None,
    as_json: Json = False,
) -> None:
    """450 questions to the demo shop's library, on a database of its own: what it cites, and what it leaves open."""
    from evals.printing import bar_on_terminal, questions_table
    from evals.questions import ask_all, read_questions, sums

    if half not in {None, "tuning", "test", "unseen"}:
        raise typer.BadParameter("--half: tuning, test or unseen")
    questions = [question for question in read_questions() if half in {None, question.half}]
    with bar_on_terminal("asking") as said:
        asked = await ask_all(home(), questions, said)
    for one in asked if as_json else ():
        say(json.dumps(one.to_json()))
    for one in asked:
        if one.wrong:
            sys.stderr.write(f"countersign: {one.question.id}: wrong: {', '.join(one.wrong)}\n")
    tell(sums(asked), as_json, questions_table)
    if any(one.wrong for one in asked):
        raise Failed("a clause was cited that does not answer: the lines above say which")


@command(exam_app, "tau2", "countersign eval tau2 --data ../shared/data --json")
async def eval_tau2(
    data: Annotated[
        Path,
        typer.Option(envvar="COUNTERSIGN_DATA", help="A folder with the data, or with tau2_retail in it."),
    ] = Path("../shared/data"),
    as_json: Json = False,
) -> None:
    """A stranger's orders and requests, on a database of its own: exact to the cent, and nothing twice."""
    from evals.printing import bar_on_terminal, no_refund_table, tau2_table
    from evals.tau2 import open_exam, sit

    folder = data / "tau2_retail" if (data / "tau2_retail").is_dir() else data
    async with open_exam(home(), folder) as exam:
        with bar_on_terminal("deciding") as said:
            score = await sit(exam, said)
    tell(score.rows, as_json, tau2_table)
    tell(score.without, as_json, no_refund_table)
    for payment in score.over:
        sys.stderr.write(f"countersign: more went back than was paid: {payment}\n")
    sums = score.to_json()
    report(
        sums,
        as_json,
        f"{sums['exact']} of {sums['cases']} exact; {sums['expected_minor']} expected,"
        f" {sums['refunded_minor']} refunded (minor units)",
    )
    if not as_json:
        say(json.dumps(sums))
    if not score.perfect:
        raise Failed("not every request ended as it should: the rows above say which")
