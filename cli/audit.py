"""The commands of the audit: verify the books, sign their heads, take the chain away, and check what was taken."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.terminal import CommandFailed, Json, command, find, group, home, office, person, report, say

audit_app = group("The audit chains and their signed anchors.", "countersign audit verify")

Copy = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="The anchors' copy outside the database.")
]


@command(audit_app, "verify", "countersign audit verify /backup/anchors.jsonl")
async def audit_verify(copy: Copy = None, as_json: Json = False) -> None:
    """Every chain against the rows it speaks of and against the signed anchors."""
    from app.house import home_trusted_keys
    from records.audit import verify_trail

    if copy is not None and not copy.exists():
        raise CommandFailed(f"{copy}: no such file")
    async with office() as opened:
        keys = home_trusted_keys(opened.home, "anchor")
        findings, events = await verify_trail(opened.desk_books, keys.read, copy or opened.home.anchors_file)
    for finding in findings:
        report({"finding": str(finding)}, as_json, str(finding))
    if findings:
        raise CommandFailed(
            f"{len(findings)} findings in {events} events: the books are not as they were written"
        )
    report({"events": events, "findings": 0}, as_json, f"{events} events, as they were written")


@command(audit_app, "anchor", "countersign audit anchor")
async def audit_anchor(as_json: Json = False) -> None:
    """Sign the heads that moved, and copy the signature out of the database."""
    async with office() as opened:
        made = await opened.anchor()
    number = made.anchor_no if made else None
    report({"anchor": number}, as_json, f"anchor {number}" if made else "nothing moved")


@command(audit_app, "export", "countersign audit export --case r-105 > r-105.jsonl")
async def audit_export(
    case: Annotated[str | None, typer.Option(help="One case, by case id or ticket id.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Instead: everything of a tenant.")] = None,
    as_json: Json = True,
) -> None:
    """The chain with its rows and the signed anchors, as lines of JSON that prove themselves."""
    from desk.audit_trail import export
    from refunds.ids import TenantId

    del as_json  # lines of JSON in any case
    if (case is None) == (tenant is None):
        raise typer.BadParameter("--case or --tenant: one of the two")
    async with office() as opened:
        if case is not None:
            who, found = await find(opened, case)
            of, case_id = found.tenant, found.case_id
        else:
            who, of, case_id = await person(opened, "demo-auditor"), TenantId(tenant or ""), None
        async for line in export(opened.desk_books, who, of, case_id):
            say(line.rstrip("\n"))


def read_text(file: str) -> str:
    """A file, or standard input."""
    return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")


@command(audit_app, "check", "countersign audit check r-105.jsonl --keys anchor.public.json")
async def audit_check(
    file: Annotated[str, typer.Argument(metavar="EXPORT|-", help="What was taken away.")],
    keys: Annotated[
        Path | None, typer.Option(help="The anchors' public keys; this home's where none is named.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold an export against the keys that sign anchors; needs no database and no other file."""
    from policies.signature import parse_public_keys
    from records.export import verify_export

    trusted = keys or home().public_keys_file("anchor")
    try:
        text = read_text(file)
        public = parse_public_keys(trusted.read_text(encoding="utf-8"), str(trusted))
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{getattr(error, 'filename', None) or file}: {error}") from None
    found = verify_export(text.splitlines(), public.read)
    for finding in found.findings:
        report({"finding": str(finding)}, as_json, str(finding))
    if found.findings:
        raise CommandFailed(f"{len(found.findings)} findings in {found.events} events: not as it was written")
    report(
        {
            "scope": found.scope,
            "events": found.events,
            "chains": found.chains,
            "anchored": found.anchored,
            "findings": 0,
        },
        as_json,
        f"{found.scope}: {found.events} events in {found.chains} chains, as they were written;"
        f" {found.anchored} under a signed head",
    )
