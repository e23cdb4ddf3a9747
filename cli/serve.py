"""The command that brings the whole house up and takes it down."""

import os
from typing import Annotated

import typer

from cli.terminal import CommandFailed, Json, command, group, home, report, say

serve_app = group("The whole house.")


@command(serve_app, "serve", "countersign serve --desk-port 8081")
async def serve_house(
    graph_port: Annotated[
        int, typer.Option(min=1, max=65_535, envvar="GRAPH_PORT", help="The LangGraph server API.")
    ] = 2024,
    desk_port: Annotated[int, typer.Option(min=1, max=65_535, envvar="DESK_PORT", help="The desk.")] = 8080,
    runner: Annotated[
        str, typer.Option(envvar="RUNNER", help="server or workers: who drives the cases.")
    ] = "server",
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many, where workers drive.")] = 2,
    model: Annotated[
        str | None,
        typer.Option(
            envvar="MODEL", help="local: a small model of language and one of meaning on this machine."
        ),
    ] = None,
    logs: Annotated[
        str, typer.Option(help="json, plain, or auto: plain on a terminal, with the rest in a file.")
    ] = "auto",
) -> None:
    """The whole house: books, graph, desk and cashier, until Ctrl-C."""
    from typing import get_args

    from app.house import check_keys, check_models, prepare
    from cli.printing import progress_of
    from deploy.console import LogForm
    from deploy.environment import Addresses
    from deploy.house_models import LocalModels
    from deploy.local_models import NoLocalModels
    from deploy.serve import CannotServe, ServePlan, check_ports, only_house, serve
    from graph.settings import origins_in
    from runtime.embedded import EmbeddedPostgres

    if runner not in {"server", "workers"}:
        raise typer.BadParameter("--runner: server or workers")
    if model not in {None, "", "local"}:
        raise typer.BadParameter("--model: local")
    if logs not in get_args(LogForm):
        raise typer.BadParameter(f"--logs: {', '.join(get_args(LogForm))}")
    form: LogForm = logs  # type: ignore[assignment]
    at = home()
    addresses = Addresses(graph_port, desk_port)
    try:
        origins = origins_in(os.environ.get("GRAPH_ALLOWED_ORIGINS", ""))
    except ValueError as error:
        raise CommandFailed(f"GRAPH_ALLOWED_ORIGINS: {error}") from None
    try:
        check_ports(addresses)
        url = at.admin_url()
        with only_house(url) as lock:
            await prepare(at, url, page=True)
            check_keys(at)
            if model:
                models = LocalModels.of(at)
                os.environ |= models.settings
                with progress_of("reading the policy") as said:
                    await models.read_library(url, said)
            check_models(at)
            plan = ServePlan(
                at, url, addresses, "workers" if runner == "workers" else "server", workers, form, origins,
                models=bool(model),
            )  # fmt: skip
            # The process manager takes the signals and this thread; nothing else runs on this loop.
            status = serve(plan, lock, os.environ, say)
    except (CannotServe, NoLocalModels) as error:
        raise CommandFailed(str(error)) from None
    if at.database_url is None:
        EmbeddedPostgres(at.folder).stop()
    if status:
        raise CommandFailed(
            "a process of the house ended by itself, so all of it was stopped: its last lines say why"
        )


@command(serve_app, "env", 'eval "$(countersign env graph)"; langgraph dev --no-browser --port 2025')
async def environment_of(
    process: Annotated[str, typer.Argument(help="graph: the settings of the LangGraph server API.")],
    desk_port: Annotated[int, typer.Option(min=1, max=65_535, envvar="DESK_PORT", help="The desk.")] = 8080,
    as_json: Json = False,
) -> None:
    """The settings of a house that is up, for a shell: for a server that only looks at it.

    It prints the password of the process's role in the books.
    """
    import shlex

    from deploy.environment import OF_THE_PROCESS, Addresses, environments

    if process != "graph":
        raise typer.BadParameter("graph")
    at = home()
    # Cases are driven where the house drives them, so this one only reads.
    told = environments(at, at.admin_url(), Addresses(desk_port=desk_port), "workers", os.environ)[process]
    settings = {name: value for name, value in told.items() if name not in OF_THE_PROCESS}
    lines = (f"export {name}={shlex.quote(value)}" for name, value in settings.items())
    report(dict(settings), as_json, "\n".join(lines))
