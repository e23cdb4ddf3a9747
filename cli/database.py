"""The commands of the database: up, migrate, down, reset."""

from cli.terminal import CommandFailed, Json, Yes, command, group, home, report

db_app = group("The books.", "countersign db up")


@command(db_app, "up", "countersign db up")
async def db_up(as_json: Json = False) -> None:
    """Start the embedded Postgres, migrate, make keys and the demo shop; prints the sign-ins' file."""
    from app.house import prepare

    await prepare(home(), home().admin_url(), page=True)
    file = str(home().token_file)
    report({"tokens": file}, as_json, f"the books are up; the demo sign-ins are in {file}")


@command(db_app, "migrate", "DATABASE_URL=postgresql://… countersign db migrate")
async def db_migrate(as_json: Json = False) -> None:
    """Bring the schema up to this program's, with the roles and their passwords, and nothing else."""
    from app.house import make_keys, migrate_books

    applied = migrate_books(home(), home().admin_url(), set_passwords=True)
    make_keys(home())
    report({"applied": applied}, as_json, "\n".join(applied) or "nothing to do")


@command(db_app, "down", "countersign db down")
async def db_down(as_json: Json = False) -> None:
    """Stop the embedded Postgres; the data stays."""
    from runtime.embedded import EmbeddedPostgres

    EmbeddedPostgres(home().folder).stop()
    report({"stopped": True}, as_json, "stopped")


@command(db_app, "reset", "countersign db reset --yes")
async def db_reset(yes: Yes = False, as_json: Json = False) -> None:
    """Drop the embedded books with everything in them. A Postgres of your own is never dropped."""
    from runtime.home import drop_books

    if home().database_url is not None:
        raise CommandFailed("DATABASE_URL is set: drop that database yourself")
    if not yes:
        raise CommandFailed("this deletes every case and every refund on record: say --yes")
    drop_books(home())
    report({"reset": True}, as_json, "the books are gone")
