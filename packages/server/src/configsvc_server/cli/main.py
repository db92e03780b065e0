"""The command line: ``configsvc serve`` and ``configsvc migrate``."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import click
import psycopg

from configsvc_server import __version__
from configsvc_server.app import database_url, open_runtime
from configsvc_server.db.embedded import EmbeddedPostgresError
from configsvc_server.db.migrations import MigrationError, MigrationStatus, Migrator
from configsvc_server.domain.errors import UnavailableError
from configsvc_server.logs import configure_logging
from configsvc_server.serving.server import HttpServer, ListenError
from configsvc_server.settings import ENV_PREFIX, Settings, SettingsError, load_settings

__all__ = ["main"]

F = TypeVar("F", bound=Callable[..., Any])

_DATABASE = ("database_url", "data_dir", "migrations_dir")

_PRECEDENCE = (
    "Every setting can be given as a flag, as an environment variable (in brackets), or in a "
    "file .env in the current folder; the first of these counts."
)

_ERRORS = (
    SettingsError,
    EmbeddedPostgresError,
    MigrationError,
    UnavailableError,
    ListenError,
    psycopg.Error,
    OSError,
)


def _setting_options(*names: str) -> Callable[[F], F]:
    """Make a flag of each setting; its help is the setting's description."""

    def decorate(function: F) -> F:
        for name in reversed(names):
            field = Settings.model_fields[name]
            default = field.get_default(call_default_factory=True, validated_data={})
            shown = "" if default in (None, ()) else f" (default: {default})"
            flag = "--" + name.replace("_", "-")
            is_switch = field.annotation is bool
            function = click.option(
                f"{flag}/--no-{name.replace('_', '-')}" if is_switch else flag,
                name,
                default=None,
                type=bool if is_switch else str,
                metavar=None if is_switch else _metavar(field.annotation),
                help=f"{field.description}{shown}  [{ENV_PREFIX}{name.upper()}]",
            )(function)
        return function

    return decorate


def _metavar(annotation: object) -> str:
    return {int: "NUMBER", float: "SECONDS"}.get(annotation, "TEXT")  # type: ignore[call-overload, no-any-return]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="configsvc")
def main() -> None:
    """Configuration as a service: versioned JSON configurations behind a REST API."""


@main.command(epilog=_PRECEDENCE)
@_setting_options(*Settings.model_fields)
def serve(**flags: object) -> None:
    """Run the server until it is told to stop (Ctrl-C or SIGTERM)."""
    started = time.monotonic()
    with _clear_errors(), _stop_signal() as on_stop:
        settings = _settings(flags)
        configure_logging(level=settings.log_level, log_format=settings.log_format)
        with open_runtime(settings, on_migration=_report_migration) as runtime:
            server = HttpServer(
                runtime.app,
                host=settings.host,
                port=settings.port,
                threads=settings.threads + settings.max_waiters,
                max_body_bytes=settings.max_body_bytes,
                shutdown_timeout=settings.shutdown_timeout,
                on_stop=runtime.release_waiters,
            )
            on_stop(server.stop)
            seconds = time.monotonic() - started
            click.echo(_banner(settings.host, server.port, runtime.database, seconds))
            server.run()
            click.echo("Stopping.")
        click.echo("Stopped.")


@main.group()
def migrate() -> None:
    """Bring the database up to date, or look at how it stands."""


@migrate.command(epilog=_PRECEDENCE)
@_setting_options(*_DATABASE)
def up(**flags: object) -> None:
    """Apply every pending migration; safe to run on many machines at once."""
    with _clear_errors(), _migrator(flags) as migrator:
        applied = migrator.up(on_applied=_report_migration)
        click.echo(f"Applied {len(applied)}." if applied else "Nothing to do: up to date.")


@migrate.command(epilog=_PRECEDENCE)
@_setting_options(*_DATABASE)
def status(**flags: object) -> None:
    """List every migration and whether it is applied."""
    with _clear_errors(), _migrator(flags) as migrator:
        for line in migrator.status():
            click.echo(_status_line(line))


@migrate.command(epilog=_PRECEDENCE)
@_setting_options(*_DATABASE)
def verify(**flags: object) -> None:
    """Exit with an error unless the database has exactly the migrations of this version."""
    with _clear_errors(), _migrator(flags) as migrator:
        migrator.verify()
        click.echo("The database has exactly the migrations of this version.")


def _settings(flags: dict[str, object]) -> Settings:
    return load_settings({name: value for name, value in flags.items() if value is not None})


@contextmanager
def _migrator(flags: dict[str, object]) -> Iterator[Migrator]:
    settings = _settings(flags)
    with database_url(settings) as (url, description):
        click.echo(f"Database: {description}", err=True)
        yield Migrator(url, folder=settings.migrations_dir)


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn what an operator can mend into one clear line instead of a traceback."""
    try:
        yield
    except _ERRORS as error:
        for line in str(error).strip().splitlines():
            click.echo(f"configsvc: {line.strip()}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("Stopped before the start was complete.", err=True)
        sys.exit(130)


@contextmanager
def _stop_signal() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Turn SIGTERM and Ctrl-C into a call, once there is something to stop."""
    stops: list[Callable[[], None]] = []

    def handle(_number: int, _frame: FrameType | None) -> None:
        if not stops:
            raise KeyboardInterrupt
        for stop in stops:
            stop()

    previous = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield stops.append
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _report_migration(filename: str, seconds: float) -> None:
    click.echo(f"Applied {filename} in {seconds * 1000:.0f} ms.")


def _status_line(line: MigrationStatus) -> str:
    when = f"  {line.applied_at:%Y-%m-%d %H:%M:%S}Z" if line.applied_at else ""
    took = f"  {line.duration * 1000:.0f} ms" if line.duration is not None else ""
    return f"{line.state:8} {line.filename}{when}{took}"


def _banner(host: str, port: int, database: str, seconds: float) -> str:
    shown = "localhost" if host in {"127.0.0.1", "0.0.0.0", "::"} else host  # noqa: S104
    url = f"http://{shown}:{port}"
    return (
        f"configsvc {__version__} answers at {url} (started in {seconds:.1f} s)\n"
        f"  Database:  {database}\n"
        f"  API docs:  {url}/docs\n"
        f"  Try:       curl -X POST {url}/api/v1/applications "
        """-H 'content-type: application/json' -d '{"name":"billing"}'\n"""
        "  Stop:      Ctrl-C"
    )
