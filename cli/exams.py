"""The commands of the exam: episodes and their receipts, questions, and a stranger's orders."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.terminal import CommandFailed, Json, command, group, home, report, say, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from evals.exam.examining import Examined

exam_app = group("The exam.", "countersign eval questions --half test")


Data = Annotated[
    Path,
    typer.Option(
        envvar="COUNTERSIGN_DATA", help="The outside data; sets that need it are left out without it."
    ),
]
Cores = Annotated[int | None, typer.Option(min=1, max=256, help="Processes; as many as there are cores.")]
Seed = Annotated[int, typer.Option(help="The order in which episodes are played; nothing else hangs on it.")]


@command(exam_app, "run", "countersign eval run --agent refund_agent_v2 --out receipt.json")
async def eval_run(
    agent: Annotated[str, typer.Option(help="This program's version, or the file of a manifest.")],
    out: Annotated[Path, typer.Option(help="Where the receipt goes.")],
    of: Annotated[str, typer.Option("--set", help="A set of the exam.")] = "refund-agent-episodes-v1",
    seed: Seed = 0,
    cores: Cores = None,
    data: Data = Path("../shared/data"),
    as_json: Json = False,
) -> None:
    """One set of the exam, each episode on a database of its own, and its receipt into a file."""
    import asyncio

    from cli.printing import progress_of
    from evals.exam.examining import examine, the_agent
    from evals.exam.receipt import receipt_text

    if not out.parent.is_dir():
        raise CommandFailed(f"{out.parent}: not a folder: the receipt could not be written")
    pinned = the_agent(agent)
    with progress_of("examining") as said:
        done = await asyncio.to_thread(examine, home(), of, pinned, data, seed=seed, cores=cores, said=said)
    out.write_text(receipt_text(done.receipt), encoding="utf-8")
    _copy(done, of, data)
    for row in done.rows:
        line = f"{row.outcome.episode:40} {row.reason}"
        report({"episode": row.outcome.episode, "passed": row.passed, "grade": row.reason}, as_json, line)
    gate = done.tally.gate
    report({"out": str(out), **gate.to_json()}, as_json, f"{out}: {gate.decision} {gate.reason}")


def _copy(done: "Examined", of: str, data: Path) -> None:
    """A copy to Langfuse, where one is configured; that it could not be sent is one line and no more."""
    from evals.exam.publishing import Langfuse, NotPublished, publish
    from evals.exam.sets import FROM_DATA, the_set

    langfuse = Langfuse.of_environment()
    if langfuse is None or of in FROM_DATA:
        return
    try:
        rows = publish(langfuse, the_set(of, data).dataset, done.receipt)
        sys.stderr.write(f"countersign: {rows} rows published to {langfuse.host}\n")
    except NotPublished as refused:
        sys.stderr.write(f"countersign: not published: {refused}\n")


@command(exam_app, "grade", "countersign eval grade evals/reports/refund-agent-episodes-v1.json")
async def eval_grade(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A receipt.")],
    data: Data = Path("../shared/data"),
    as_json: Json = False,
) -> None:
    """The rows of a receipt graded anew, by what they say happened and not by what they say of themselves."""
    from evals.exam.receipt import BadReceipt, gate_of, read_receipt, regraded
    from evals.exam.sets import the_set

    receipt = read_receipt(file)
    named = receipt.get("dataset_version") if isinstance(receipt, dict) else None
    if not isinstance(named, str):
        raise BadReceipt(f"{file}: no receipt: it names no dataset_version")
    chosen = the_set(named, data)
    gate = gate_of(receipt, chosen.dataset) if isinstance(receipt, dict) else None
    wrong = 0
    for row, said in regraded(receipt, chosen.dataset, chosen.approved, str(file)):
        wrong += not row.passed or said != row.reason
        differs = "" if said == row.reason else f" (the receipt says {said})"
        report(
            {"episode": row.outcome.episode, "passed": row.passed, "grade": row.reason, "said": said},
            as_json,
            f"{row.outcome.episode:40} {row.reason}{differs}",
        )
    if wrong:
        raise CommandFailed(f"{wrong} rows failed, or say of themselves what they are not")
    if gate is None or gate.decision == "hold":
        raise CommandFailed(f"held: {gate.reason if gate else 'invalid:rows'}")


@command(exam_app, "exam", "countersign eval exam --out evals/reports")
async def eval_exam(
    out: Annotated[Path | None, typer.Option(help="Receipts and summaries go into this folder.")] = None,
    only: Annotated[list[str] | None, typer.Option("--set", help="Only these sets.")] = None,
    seed: Seed = 0,
    cores: Cores = None,
    data: Data = Path("../shared/data"),
    as_json: Json = False,
) -> None:
    """Every set of the exam. What was interrupted goes on where it was."""
    import asyncio

    from cli.printing import progress_of, table
    from evals.exam.examining import examine, file_away, own_agent
    from evals.exam.report import whole
    from evals.exam.sets import NAMES, NoData

    pinned = own_agent()
    tallies = []
    for name in only or NAMES:
        try:
            with progress_of(name) as said:
                done = await asyncio.to_thread(
                    examine, home(), name, pinned, data, seed=seed, cores=cores, said=said
                )
        except NoData as absent:
            if only:
                raise
            sys.stderr.write(f"countersign: {name} is left out: {absent}\n")
            continue
        tallies.append(done.tally)
        if out is not None:
            file_away(out, done)
        _copy(done, name, data)
        if as_json:
            say(json.dumps(done.tally.to_json()))
        for episode, grade in done.tally.failed:
            sys.stderr.write(f"countersign: {name}: {episode}: {grade}\n")
    if not as_json:
        say(table(("exam", ""), whole(tallies)))
    if any(one.failed for one in tallies):
        raise CommandFailed("not every episode ended as it should: the lines above say which")


@command(exam_app, "adopt", "countersign eval adopt r-105 --out adopted.jsonl")
async def eval_adopt(
    case: Annotated[str, typer.Argument(metavar="CASE", help="A case id, or the ticket id of one.")],
    out: Annotated[Path, typer.Option(help="The set that it is added to.")] = Path(
        "evals/sets/adopted-v1.jsonl"
    ),
    as_json: Json = False,
) -> None:
    """A case that a person decided becomes an episode: masked, with its order, ending as the person decided."""
    from cli.terminal import find, house
    from evals.exam.adopting import adopt, keep
    from evals.exam.episode import episode_line

    async with house() as opened:
        _, found = await find(opened, case)
        episode = await adopt(opened.desk_books, found)
    new = keep(episode, out)
    line = f"{out}: {episode.name}" + ("" if new else " was there already")
    report({"out": str(out), "new": new, **episode_line(episode)}, as_json, line)


@command(exam_app, "review", "countersign eval review --days 14")
async def eval_review(
    days: Annotated[int, typer.Option(min=1, max=90, help="How far back.")] = 14,
    words: Annotated[int, typer.Option(min=0, max=1_000, help="Edits of more words than this.")] = 5,
    as_json: Json = False,
) -> None:
    """For the fortnightly review: hand-offs, drafts that people changed, customers who came again."""
    from cli.printing import review_table
    from cli.terminal import house, person
    from desk.fortnight import for_review

    async with house() as opened:
        who = await person(opened, "demo-auditor")
        rows = await for_review(opened.desk_books, who, days=days, words=words)
    tell(rows, as_json, review_table)


@command(exam_app, "watch", "countersign eval watch --against evals/reports/refund-agent-episodes-v1.json")
async def eval_watch(
    against: Annotated[Path, typer.Option(help="The receipt that the release earned its steps with.")],
    data: Data = Path("../shared/data"),
    as_json: Json = False,
) -> None:
    """Run a receipt's set again with the models as they answer today. A timer runs it to notice a silent change."""
    import asyncio

    from cli.printing import progress_of
    from evals.exam.examining import examine, the_agent
    from evals.exam.receipt import BadReceipt, read_receipt, same_behaviour
    from refunds.canonical import first_difference

    said = read_receipt(against)
    if not isinstance(said, dict) or not isinstance(said.get("dataset_version"), str):
        raise BadReceipt(f"{against}: no receipt: it names no dataset_version")
    try:
        before = same_behaviour(said)
    except (KeyError, TypeError, AttributeError):
        raise BadReceipt(f"{against}: not a receipt of this program") from None
    pinned = the_agent(str(said.get("agent_version")))
    with progress_of("examining") as told:
        fresh = await asyncio.to_thread(
            examine, home(), said["dataset_version"], pinned, data, afresh=True, said=told
        )
    now = json.loads(json.dumps(fresh.receipt))
    found = first_difference(before, same_behaviour(now))
    report({"first_difference": found}, as_json, found or "it answers as it did")
    if found is not None:
        raise CommandFailed(f"the agent has changed since {against.name}: {found}")


@command(exam_app, "compare", "countersign eval compare before.json after.json")
async def eval_compare(
    before: Annotated[Path, typer.Argument(help="A receipt.")],
    after: Annotated[Path, typer.Argument(help="Another one.")],
    as_json: Json = False,
) -> None:
    """Where the rows of two receipts differ first, whichever versions they are of; timings aside."""
    from evals.exam.receipt import BadReceipt, read_receipt, same_behaviour
    from refunds.canonical import first_difference

    sides = []
    for file in (before, after):
        receipt = read_receipt(file)
        try:
            whole = same_behaviour(receipt if isinstance(receipt, dict) else {})
            sides.append({name: whole.get(name) for name in ("dataset_version", "grader_version", "rows")})
        except (KeyError, TypeError, AttributeError):
            raise BadReceipt(f"{file}: not a receipt of this program") from None
    found = first_difference(sides[0], sides[1])
    report({"first_difference": found}, as_json, found or "every row is the same")
    if found is not None:
        raise CommandFailed(f"they differ at {found}")


@command(exam_app, "questions", "countersign eval questions --half unseen --without-ways --meaning --local")
async def eval_questions(
    half: Annotated[
        str | None, typer.Option(help="tuning, test, unseen or apart; all where none is named.")
    ] = None,
    without_ways: Annotated[
        bool, typer.Option("--without-ways", help="From the clauses alone, without the ways to ask for them.")
    ] = False,
    meaning: Annotated[
        bool, typer.Option("--meaning", help="With the embedding model of GRAPH_EMBEDDING_MODEL.")
    ] = False,
    model: Annotated[
        bool, typer.Option("--model", help="With the model of COUNTERSIGN_MANIFEST that reads the policy.")
    ] = False,
    local: Annotated[
        bool, typer.Option("--local", help="These are the models of this machine: make models.")
    ] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, help="So many of them, taken evenly; all where none is named.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Questions to the demo shop's library, on a database of its own: what it cites, and what it offers."""
    import os
    from contextlib import ExitStack
    from typing import get_args

    from cli.printing import progress_of, questions_table
    from deploy.house_models import LocalModels
    from deploy.local_models import NoLocalModels
    from evals.policy_reader import NoModel
    from evals.questions import Half, HowAsked, ask_all, read_questions, sums

    if half not in {None, *get_args(Half)}:
        raise typer.BadParameter(f"--half: {', '.join(get_args(Half))}")
    questions = [question for question in read_questions() if half in {None, question.half}]
    questions = questions[:: max(1, len(questions) // sample)][:sample] if sample else questions
    how = HowAsked(ways=not without_ways, meaning=meaning, model=model)
    try:
        with ExitStack() as stack:
            if local:
                os.environ |= stack.enter_context(LocalModels.of(home()).running(language=model)).settings
            with progress_of("asking") as said:
                asked = await ask_all(home(), questions, said, how)
    except (NoModel, NoLocalModels) as missing:
        raise CommandFailed(str(missing)) from None
    for one in asked if as_json else ():
        say(json.dumps(one.to_json()))
    for one in asked:
        if one.wrong:
            sys.stderr.write(f"countersign: {one.question.id}: wrong: {', '.join(one.wrong)}\n")
    tell(sums(asked), as_json, questions_table)
    if any(one.wrong for one in asked):
        raise CommandFailed("a clause was cited that does not answer: the lines above say which")


@command(exam_app, "drafts", "countersign eval drafts --half test")
async def eval_drafts(
    half: Annotated[str | None, typer.Option(help="tuning or test; both where none is named.")] = None,
    as_json: Json = False,
) -> None:
    """Drafts of a model, good and bad: which of them the checks stop before a person sees them."""
    from typing import get_args

    from cli.printing import figures_table
    from evals.drafts import DraftHalf, read_drafts, stopped

    if half not in {None, *get_args(DraftHalf)}:
        raise typer.BadParameter(f"--half: {', '.join(get_args(DraftHalf))}")
    drafts = read_drafts(half)
    for draft in drafts:
        if draft.good != (draft.stopped_for is None):
            said = draft.stopped_for or "passed"
            sys.stderr.write(f"countersign: {draft.id}: {draft.kind}: {said}\n")
        if as_json:
            say(json.dumps(draft.to_json()))
    tell(stopped(drafts), as_json, figures_table)


@command(exam_app, "reading", "countersign eval reading --half test --json")
async def eval_reading(
    half: Annotated[str, typer.Option(help="tuning or test.")] = "test",
    as_json: Json = False,
) -> None:
    """Tickets as customers write them, read by the trained reader, beside what a person read in them."""
    from cli.printing import figures_table, progress_of
    from evals.intake.measures import score_reading
    from evals.intake.tickets import HALVES
    from policies.reading import trained_reader

    if half not in HALVES:
        raise typer.BadParameter("--half: tuning or test")
    with progress_of("reading") as said:
        score = score_reading(trained_reader(), half, said)
    for name, tickets in score.wrong.items():
        sys.stderr.write(f"countersign: {name}: {', '.join(tickets)}\n")
    tell([score.to_json()], as_json, figures_table)


@command(exam_app, "intake", "countersign eval intake --data ../shared/data --json")
async def eval_intake(data: Data = Path("../shared/data"), as_json: Json = False) -> None:
    """What the intake finds: urgent matters; and outside utterances, each by a bundle that was trained without it."""
    from cli.printing import figures_table
    from evals.intake.measures import outside_score, urgent_score
    from evals.intake.rows import outside_rows, own_rows, own_tickets
    from evals.intake.training import train
    from policies.reading import TrainedReader, trained_reader
    from policies.reading.bundle import bundle_of

    own, folder = list(own_rows()), data / "intake"
    outside = list(outside_rows(folder))

    def without(kept: "Callable[[str], bool]") -> TrainedReader:
        rows = [*own, *(row for row in outside if kept(row.text))]
        return TrainedReader(bundle_of(train(rows, own_tickets(), "fold")))

    tell([urgent_score(trained_reader())], as_json, figures_table)
    if not outside:
        raise CommandFailed(f"{folder}: not there: name the outside data with --data")
    tell(list(outside_score(without, folder)), as_json, figures_table)


@command(exam_app, "tau2", "countersign eval tau2 --data ../shared/data --json")
async def eval_tau2(
    data: Annotated[
        Path,
        typer.Option(envvar="COUNTERSIGN_DATA", help="A folder with the data, or with tau2_retail in it."),
    ] = Path("../shared/data"),
    words: Annotated[bool, typer.Option("--words", help="By customer, order and words alone.")] = False,
    as_json: Json = False,
) -> None:
    """A stranger's orders and requests, on a database of its own: exact to the cent, and nothing twice."""
    from cli.printing import figures_table, no_refund_table, progress_of, tau2_table
    from evals.tau2 import open_exam, score_exam
    from evals.words import score_words

    folder = data / "tau2_retail" if (data / "tau2_retail").is_dir() else data
    if words:
        async with open_exam(home(), folder) as exam:
            with progress_of("reading") as said:
                rows, figures = await score_words(exam, said)
        for row in rows if as_json else ():
            say(json.dumps(row))
        tell([figures], as_json, figures_table)
        if figures["wrong"] or figures["elsewhere_proposed"]:
            raise CommandFailed("a proposal was wrong: --json says which")
        return
    async with open_exam(home(), folder) as exam:
        with progress_of("deciding") as said:
            score = await score_exam(exam, said)
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
        raise CommandFailed("not every request ended as it should: the rows above say which")
