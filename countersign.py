"""The entry point: one command line. The commands are in `cli/`, a module a group; each loads what it needs."""

import os

from cli.audit import audit_app
from cli.authority import authority_app
from cli.cases import cases_app
from cli.customers import customers_app
from cli.database import db_app
from cli.exams import exam_app
from cli.intake import intake_app
from cli.operations import operations_app
from cli.orders import orders_app
from cli.people import people_app
from cli.policies import policies_app
from cli.releases import release_app
from cli.serve import serve_app
from cli.tenants import tenant_app
from cli.terminal import group
from cli.traces import trace_app

app = group(
    "Countersign: a support agent that drafts, a person who countersigns, money that moves once.",
    "countersign demo --yes",
)
for commands in (cases_app, operations_app, serve_app):
    app.add_typer(commands)
for name, commands in (
    ("intake", intake_app),
    ("audit", audit_app),
    ("db", db_app),
    ("tenant", tenant_app),
    ("people", people_app),
    ("authority", authority_app),
    ("policies", policies_app),
    ("orders", orders_app),
    ("customers", customers_app),
    ("eval", exam_app),
    ("trace", trace_app),
    ("release", release_app),
):
    app.add_typer(commands, name=name)


def main() -> None:
    """The console script."""
    os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
    os.environ.setdefault("LANGSMITH_TRACING", "false")
    app()


if __name__ == "__main__":
    main()
