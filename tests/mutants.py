"""Mutants: a sample by seed of small mistakes in the code that guards money, and which of them no law notices.

make mutants ARGS="--seed 7 --sample 60"

It runs under a Python that has cosmic-ray, on a copy of the tracked files, with the project's own Python for the laws. Each
file is tried with the laws that are about it; what survives is listed with its difference, to be killed or explained in
docs/controls.md.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

ROOT = Path(__file__).parents[1]
SECONDS = 180.0

GUARD = ("tests/money/test_the_guard.py", "tests/page/test_unknown.py")
CASHIER = (
    "tests/money/test_the_cashier.py",
    "tests/money/test_the_provider_knows_more.py",
    "tests/money/test_books_from_a_backup.py",
    "tests/money/test_disbursements.py",
    *GUARD,
)
EDGES = ("tests/architecture/test_edges.py", "tests/money/test_life.py", "tests/admission")
MONEY = (
    "tests/money/test_no_money_without_a_decision.py",
    "tests/money/test_what_was_signed.py",
    "tests/money/test_postgres_refuses.py",
    "tests/money/test_votes_and_amounts.py",
)

LAWS: dict[str, tuple[str, ...]] = {
    "cashier/guard.py": GUARD,
    "cashier/inquiries.py": GUARD,
    "cashier/executor.py": CASHIER,
    "cashier/verification.py": ("tests/money/test_authority.py", *MONEY, "tests/money/test_people_and_the_cashier_agree.py", *GUARD),
    "policies/transitions.py": EDGES,
    "policies/admission.py": EDGES,
    "policies/actions.py": ("tests/admission", "tests/words"),
    "policies/authority.py": ("tests/money/test_authority.py", "tests/money/test_people_and_the_cashier_agree.py"),
    "policies/budget.py": ("tests/model/test_limits.py", "tests/admission"),
    "policies/loops.py": ("tests/admission", "tests/model/test_what_a_model_may_say.py"),
    "policies/signature.py": ("tests/admission/test_intake.py", "tests/money/test_people_and_the_cashier_agree.py"),
    "policies/spending.py": ("tests/model/test_limits.py", "tests/model/test_spending.py"),
    "policies/steering.py": ("tests/page/test_house.py", "tests/admission", "tests/model/test_what_a_model_may_say.py"),
    "tools/gateway.py": ("tests/model/test_limits.py", "tests/model/test_tools.py", "tests/admission"),
    "graph/admission.py": (*EDGES, *MONEY),
    "graph/granting.py": ("tests/words/test_trace.py", "tests/model/test_tools.py", *EDGES),
    "graph/settling.py": (*EDGES, *MONEY),
    "graph/snapshot.py": (*EDGES, *MONEY),
}  # fmt: skip

OF_NO_USE = ("core/ReplaceBinaryOperator_BitOr", "core/NumberReplacer", "core/RemoveDecorator")
"""Types are not run, and a limit that is one higher is another limit: their edges have laws where they matter."""


def config(file: str, python: Path) -> str:
    """The configuration of one file."""
    laws = " ".join(LAWS[file])
    command = f"{python} -m pytest -x -q -n 0 -p no:cacheprovider --no-header {laws}"
    return (
        f'[cosmic-ray]\nmodule-path = "{file}"\ntimeout = {SECONDS}\nexcluded-modules = []\n'
        f'test-command = "{command}"\n[cosmic-ray.distributor]\nname = "local"\n'
    )


def is_green(file: str, copy: Path, python: Path) -> bool:
    """Whether the laws of a file hold before it is changed: those that fail anyway notice nothing."""
    command = [str(python), "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *LAWS[file]]
    return subprocess.run(command, cwd=copy, check=False, stdout=subprocess.DEVNULL).returncode == 0


def sampled(file: str, copy: Path, python: Path, dice: random.Random, most: int) -> Path:
    """The session of a file, of whose mutants all but a few are skipped."""
    name = file.replace("/", "_").removesuffix(".py")
    settings, session = copy / f"{name}.toml", copy / f"{name}.sqlite"
    settings.write_text(config(file, python), encoding="utf-8")
    tool = Path(sys.executable).parent / "cosmic-ray"
    subprocess.run([str(tool), "init", str(settings), str(session)], cwd=copy, check=True)
    with use_db(str(session), WorkDB.Mode.open) as books:
        items = list(books.pending_work_items)
        useful = [item for item in items if not item.mutations[0].operator_name.startswith(OF_NO_USE)]
        chosen = {item.job_id for item in dice.sample(useful, min(most, len(useful)))}
        for item in items:
            if item.job_id not in chosen:
                books.set_result(item.job_id, WorkResult(WorkerOutcome.SKIPPED))
    subprocess.run([str(tool), "exec", str(settings), str(session)], cwd=copy, check=True)
    return session


def main() -> int:
    """0 after a run, 1 where laws fail as it is; what survived is on standard output."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], epilog="example: --seed 7 --sample 60"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, default=60, help="mutants in all")
    parser.add_argument("--python", type=Path, default=ROOT / ".venv/bin/python")
    parser.add_argument("files", nargs="*", default=list(LAWS))
    told = parser.parse_args()
    dice = random.Random(told.seed)
    killed = survived = 0
    with tempfile.TemporaryDirectory(prefix="countersign-mutants-") as folder:
        copy = Path(folder)
        listed = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
        for name in listed.splitlines():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
        for file in told.files:
            if not is_green(file, copy, told.python):
                sys.stderr.write(f"mutants: the laws of {file} fail before anything is changed\n")
                return 1
            session = sampled(file, copy, told.python, dice, max(1, told.sample // len(told.files)))
            with use_db(str(session), WorkDB.Mode.open) as books:
                for item, result in books.completed_work_items:
                    if result.worker_outcome is WorkerOutcome.SKIPPED:
                        continue
                    killed += result.test_outcome is not TestOutcome.SURVIVED
                    if result.test_outcome is TestOutcome.SURVIVED:
                        survived += 1
                        where = item.mutations[0]
                        sys.stdout.write(
                            f"SURVIVED {file}:{where.start_pos[0]} {where.operator_name}\n{result.diff}\n"
                        )
            sys.stdout.write(f"{file}: done; so far {killed} killed, {survived} survived\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
