"""The composition root: from settings to a running service."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from configsvc_server.db.database import Database, describe_url
from configsvc_server.db.embedded import EmbeddedPostgres
from configsvc_server.db.migrations import Migrator
from configsvc_server.http.api import Services, create_api
from configsvc_server.http.wsgi import WsgiApp
from configsvc_server.services.applications import ApplicationService
from configsvc_server.services.configurations import ConfigurationService
from configsvc_server.services.health import HealthService
from configsvc_server.settings import Settings

__all__ = ["Runtime", "create_app", "database_url", "open_runtime"]


@dataclass(frozen=True, slots=True)
class Runtime:
    """A service that is ready to answer."""

    app: WsgiApp
    database: str
    """Where the data is, for people."""


def create_app(settings: Settings, database: Database, migrator: Migrator) -> WsgiApp:
    """Return the WSGI application over an open database."""
    services = Services(
        applications=ApplicationService(database),
        configurations=ConfigurationService(database),
        health=HealthService(database, migrator),
    )
    return create_api(
        services, max_body_bytes=settings.max_body_bytes, cors_origins=settings.cors_origins
    )


@contextmanager
def database_url(settings: Settings) -> Iterator[tuple[str, str]]:
    """Give a connection string and a description of the database while the block runs.

    Without ``settings.database_url`` that is an embedded PostgreSQL, started and stopped here.

    Raises:
        EmbeddedPostgresError: the embedded PostgreSQL can't be used.
    """
    if settings.database_url is not None:
        yield settings.database_url, f"PostgreSQL: {describe_url(settings.database_url)}"
        return
    embedded = EmbeddedPostgres(settings.data_dir)
    with embedded as url:
        yield url, f"embedded PostgreSQL in {embedded.data_dir}"


@contextmanager
def open_runtime(
    settings: Settings, *, on_migration: Callable[[str, float], None] = lambda *_: None
) -> Iterator[Runtime]:
    """Start everything that the service needs, and stop it when the block ends.

    Args:
        settings: what the operator wants.
        on_migration: called after each applied migration with its name and seconds.

    Raises:
        EmbeddedPostgresError, MigrationError, UnavailableError: it can't start; says why.
    """
    with ExitStack() as stack:
        url, description = stack.enter_context(database_url(settings))
        database = Database(url, pool_size=settings.pool_size, timeout=settings.database_timeout)
        database.open()
        stack.callback(database.close)
        migrator = Migrator(url, folder=settings.migrations_dir)
        if settings.migrate:
            migrator.up(on_applied=on_migration)
        yield Runtime(create_app(settings, database, migrator), description)
