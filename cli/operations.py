"""The commands of an operator: what was paid, the kill switch, the run-time flags."""

from typing import Annotated

import typer

from cli.terminal import Json, Most, Why, command, group, house, office, person, report, tell

operations_app = group("What an operator looks at and turns.")


@command(operations_app, "ledger", "countersign ledger --json")
async def ledger(most: Most = 200, as_json: Json = False) -> None:
    """Every disbursement, what was sent and how it was settled."""
    from cli.printing import ledger_table
    from desk.queue import disbursement_ledger

    async with office() as opened:
        who = await person(opened, "demo-auditor")
        tell(await disbursement_ledger(opened.desk_books, who, most=most), as_json, ledger_table)


@command(operations_app, "kill", "countersign kill on --reason 'provider incident'")
async def kill(
    switch: Annotated[str, typer.Argument(metavar="on|off")],
    reason: Why,
    tenant: Annotated[str, typer.Option(help="One tenant, or * for everybody.")] = "*",
    as_json: Json = False,
) -> None:
    """The kill switch: no new case runs and no money is ordered or sent while it is on."""
    from desk.flags import set_kill_switch

    if switch not in {"on", "off"}:
        raise typer.BadParameter("on or off")
    moved = 0
    async with office() as opened:
        who = await person(opened)
        await set_kill_switch(opened.desk_books, who, on=switch == "on", reason=reason, tenant=tenant)
    if switch == "off":
        async with house() as whole:
            moved = await whole.driver.sweep()
    line = f"kill switch {switch} for {tenant}" + (f"; {moved} parked cases went on" if moved else "")
    report({"kill_switch": switch, "tenant": tenant, "went_on": moved}, as_json, line)


@command(operations_app, "flags", "countersign flags --set step_cap=3 --reason 'a loop was seen'")
async def flags(
    setting: Annotated[str | None, typer.Option("--set", help="NAME=VALUE; off takes it away.")] = None,
    reason: Annotated[str, typer.Option(help="Why; it stays in the books.")] = "",
    tenant: Annotated[str, typer.Option(help="One tenant, or * for everybody.")] = "*",
    as_json: Json = False,
) -> None:
    """The run-time flags in force, who set them and why; or, with --set, one more."""
    from cli.printing import flags_table
    from desk.flags import current_flags, set_flag

    async with office() as opened:
        if setting is not None:
            flag, _, value = setting.partition("=")
            if flag == "kill_switch":
                raise typer.BadParameter("--set: countersign kill turns the kill switch")
            operator = await person(opened)
            await set_flag(opened.desk_books, operator, name=flag, value=value, reason=reason, tenant=tenant)
        who = await person(opened, "demo-operator")
        tell(await current_flags(opened.desk_books, who), as_json, flags_table)
