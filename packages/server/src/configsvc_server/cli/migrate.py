"""``configsvc migrate``: apply, list and verify the migrations of the database."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from configsvc_server.app import open_database
from configsvc_server.cli.errors import operator_errors
from configsvc_server.cli.options import PRECEDENCE, setting_options, settings_from_flags
from configsvc_server.cli.signals import StopSignals
from configsvc_server.db.migrations import MigrationStatus, Migrator

__all__ = ["migrate", "report_migration"]

_SETTINGS = ("database_url", "data_dir", "migrations_dir")


@click.group()
def migrate() -> None:
    """Bring the database up to date, or show its state."""


@migrate.command(epilog=PRECEDENCE)
@setting_options(*_SETTINGS)
def up(**flags: object) -> None:
    """Apply every pending migration; safe to run on many machines at once."""
    with _migrator(flags, create=True) as migrator:
        applied = migrator.up(on_applied=report_migration)
        click.echo(f"Applied {len(applied)}." if applied else "Nothing to do: up to date.")


@migrate.command(epilog=PRECEDENCE)
@setting_options(*_SETTINGS)
def status(**flags: object) -> None:
    """List every migration and whether it is applied."""
    with _migrator(flags, create=False) as migrator:
        for line in migrator.status():
            click.echo(_status_line(line))


@migrate.command(epilog=PRECEDENCE)
@setting_options(*_SETTINGS)
def verify(**flags: object) -> None:
    """Exit with an error unless the database has exactly the migrations of this version."""
    with _migrator(flags, create=False) as migrator:
        migrator.verify()
        click.echo("The database has exactly the migrations of this version.")


def report_migration(filename: str, seconds: float) -> None:
    """Print that a migration was applied."""
    click.echo(f"Applied {filename} in {seconds * 1000:.0f} ms.")


@contextmanager
def _migrator(flags: dict[str, object], *, create: bool) -> Iterator[Migrator]:
    """Yield the migrator of a command, which then deals with signals and errors.

    Args:
        flags: the flags of the command.
        create: whether to create the embedded database if there is none.
    """
    with StopSignals() as signals, operator_errors(signals.ends_start):
        settings = settings_from_flags(flags)
        with open_database(settings, create=create, cancelled=signals.requested) as database:
            click.echo(f"Database: {database.description}", err=True)
            with signals.interrupting():
                yield Migrator(database.url, folder=settings.migrations_dir)


def _status_line(status: MigrationStatus) -> str:
    when = f"  {status.applied_at:%Y-%m-%d %H:%M:%S}Z" if status.applied_at else ""
    took = f"  {status.duration * 1000:.0f} ms" if status.duration is not None else ""
    return f"{status.state:8} {status.filename}{when}{took}"
