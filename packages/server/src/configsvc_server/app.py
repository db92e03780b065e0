"""Composition root: from settings to a running service."""

import getpass
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from configsvc_server import __version__
from configsvc_server.cache.responses import ResponseCache
from configsvc_server.cache.waiters import Waiters
from configsvc_server.db.database import Database
from configsvc_server.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from configsvc_server.db.listener import ChangeListener, Heartbeat
from configsvc_server.db.migrations import Migrator
from configsvc_server.db.urls import describe_url
from configsvc_server.domain.access.principals import operator
from configsvc_server.domain.models import Provenance
from configsvc_server.http.api import Services, create_api
from configsvc_server.http.content_coding import compress
from configsvc_server.http.errors import WsgiApp
from configsvc_server.http.hosts import ALL_HOSTS
from configsvc_server.http.resources.configurations import render_configuration
from configsvc_server.http.resources.snapshots import render_delta, render_snapshot
from configsvc_server.identity.identities import Identities
from configsvc_server.identity.settings import AuthSettings, load_auth_file
from configsvc_server.logs import shows_debug
from configsvc_server.schema_checks.checker import SchemaChecker
from configsvc_server.services.access import AccessService, UseRecorder
from configsvc_server.services.applications import ApplicationService
from configsvc_server.services.change_lines import log_change
from configsvc_server.services.changes import ChangeService
from configsvc_server.services.configuration_writer import ConfigurationWriter
from configsvc_server.services.configurations import ConfigurationService
from configsvc_server.services.document_checks import DocumentChecks
from configsvc_server.services.environments import EnvironmentService
from configsvc_server.services.fleet import FleetService
from configsvc_server.services.fleet_census import FleetCensus
from configsvc_server.services.fleet_sharing import FleetSharer, FleetSharing
from configsvc_server.services.grants import GrantService
from configsvc_server.services.health import HealthService
from configsvc_server.services.health_report import HealthReport
from configsvc_server.services.history import HistoryService
from configsvc_server.services.issuer_keys import IssuerKeyService
from configsvc_server.services.monitoring import MonitoringService
from configsvc_server.services.releases import ReleaseService
from configsvc_server.services.sessions import SessionService
from configsvc_server.services.snapshots import SnapshotService
from configsvc_server.services.tokens import CreatedToken, TokenService
from configsvc_server.serving.limits import Limits, fit_to_open_files
from configsvc_server.settings import Settings
from configsvc_server.telemetry import readings
from configsvc_server.telemetry.metrics import Metrics
from configsvc_server.telemetry.report import caches_part, pools_part, waiters_part
from configsvc_server.telemetry.traces import Instrument

__all__ = [
    "AccessAdministration",
    "DatabaseSource",
    "Runtime",
    "open_administration",
    "open_database",
    "open_services",
    "operator_name",
]

_log = structlog.stdlib.get_logger(__name__)

# Log, database, child processes and what Python itself opens.
_OTHER_FILES: Final = 96


@dataclass(frozen=True, slots=True)
class DatabaseSource:
    """Database that the settings ask for."""

    url: str
    """Connection string."""
    description: str
    """What it is, for people; without the password."""
    outage: Callable[[], str | None] = lambda: None
    """Returns why it is away, for people; ``None`` if it is not known to be."""
    crashes: Callable[[], int] | None = None
    """Returns how often it has ended unexpectedly; ``None`` if it is not ours to know."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Service that is ready to answer."""

    app: WsgiApp
    database: str
    """Description of the database, for people."""
    release_waiters: Callable[[], None]
    """Responds to all waiters; to be called when the server stops."""
    limits: Limits
    """Limits of connections, as many as the limit of open files allows."""
    metrics: Metrics
    """What is exported of it; whoever serves it adds what it knows itself."""
    report: HealthReport
    """How it is in every detail; whoever serves it adds what it knows itself."""
    drain: Callable[[], None]
    """Tells load balancers to send nothing more; everything is answered as before."""
    first_token: CreatedToken | None = None
    """A token for everything, where nobody was an admin yet."""


@contextmanager
def open_database(
    settings: Settings,
    *,
    create: bool = True,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[DatabaseSource]:
    """Yield the database of the settings.

    Without ``settings.database_url`` that is an embedded PostgreSQL, started and stopped here.
    No exception may be raised from outside during its start and its stop, such as by a signal:
    it could leave PostgreSQL running.

    Args:
        settings: settings of the server.
        create: whether to create the embedded database if there is none.
        cancelled: whether the process is to stop, so that the start is given up.

    Raises:
        EmbeddedPostgresError: the embedded PostgreSQL can't be used, or there is none and
            none is to be created.
        StartCancelledError: the process is to stop.
    """
    if settings.database_url is not None:
        description = f"PostgreSQL: {describe_url(settings.database_url)}"
        yield DatabaseSource(settings.database_url, description)
        return
    if settings.data_dir is None:
        raise EmbeddedPostgresError(
            "There is no home folder to keep the database in. Give its folder with --data-dir "
            "(CONFIGSVC_DATA_DIR), or a PostgreSQL with --database-url (CONFIGSVC_DATABASE_URL)."
        )
    embedded = EmbeddedPostgres(settings.data_dir, cancelled=cancelled)
    if not create and not embedded.exists:
        raise EmbeddedPostgresError(
            f"There is no database in {embedded.data_dir}: nothing has been started there yet."
        )
    with embedded as url:
        yield DatabaseSource(
            url,
            f"embedded PostgreSQL in {embedded.data_dir}",
            lambda: embedded.outage,
            lambda: embedded.crashes,
        )


@dataclass(frozen=True, slots=True)
class AccessAdministration:
    """Use cases that the command line offers over the database, without a server."""

    tokens: TokenService
    grants: GrantService
    provenance: Provenance
    """Who acts: the operator of this machine."""


@contextmanager
def open_administration(
    settings: Settings, url: str, *, message: str | None = None
) -> Iterator[AccessAdministration]:
    """Yield what administers tokens and grants over one database.

    Servers that run over the same database are told of each change by it.

    Args:
        settings: settings of the server.
        url: connection string of the database.
        message: why; kept with what is written.

    Raises:
        MigrationError, UnavailableError: the database is not there, or of another version.
    """
    Migrator(url, folder=settings.migrations_dir).up()
    with ExitStack() as stack:
        database = Database(url, pool_size=1, timeout=settings.database_timeout)
        stack.callback(database.close)
        database.open(wait=settings.database_timeout)
        # Nothing is kept in memory: nobody tells this process of changes.
        cache = ResponseCache(max_bytes=0, heartbeat=Heartbeat())
        principal = operator(operator_name())
        yield AccessAdministration(
            TokenService(database, cache),
            GrantService(database, cache),
            Provenance(principal.name, message=message, principal=principal),
        )


@contextmanager
def open_services(
    settings: Settings,
    url: str,
    *,
    description: str = "",
    outage: Callable[[], str | None] = lambda: None,
    crashes: Callable[[], int] | None = None,
    on_migration: Callable[[str, float], None] = lambda *_: None,
    instrument: Instrument | None = None,
) -> Iterator[Runtime]:
    """Start the services over one database, and stop them when the block ends.

    Args:
        settings: settings of the server.
        url: connection string of the database.
        description: what the database is, for people.
        outage: returns why the database is away, for people; ``None`` if it is not known to be.
        crashes: returns how often the embedded database has ended unexpectedly; ``None`` where
            the database is another one.
        on_migration: called after each applied migration with its name and seconds.
        instrument: has the statements of a connection traced; ``None`` for no traces.

    Raises:
        AuthFileError, MigrationError, UnavailableError: they can't start; the message says why.
    """
    with ExitStack() as stack:
        metrics = Metrics(version=__version__)

        def applied(name: str, seconds: float) -> None:
            metrics.migrated(seconds)
            on_migration(name, seconds)

        database = Database(
            url,
            pool_size=settings.pool_size,
            timeout=settings.database_timeout,
            on_query=_query_hook(metrics.query_done if settings.exports_metrics else None),
            on_change=log_change,
            instrument=instrument,
        )
        # A database that starts together with us gets a little longer than a request waits.
        database.open(wait=2 * settings.database_timeout)
        stack.callback(database.close)
        migrator = Migrator(url, folder=settings.migrations_dir)
        if settings.migrate:
            migrator.up(on_applied=applied)

        heartbeat = Heartbeat()
        cache = ResponseCache(max_bytes=settings.cache_bytes, heartbeat=heartbeat)
        listener = ChangeListener(url, cache, heartbeat=heartbeat, on_change=metrics.change_seen)
        listener.start()
        stack.callback(listener.stop)

        access = AccessService(database, cache)
        recorder = UseRecorder(access)
        recorder.start()
        stack.callback(recorder.stop)

        identities = Identities(
            _auth_settings(settings),
            grants_of=access.grants_of,
            find_scope=access.find_scope,
            key_store=IssuerKeyService(database),
        )
        identities.start()
        stack.callback(identities.stop)

        limits = _serving_limits(settings)
        # A connection that waits makes room for no other one.
        max_waiters = min(settings.max_waiters, limits.max_connections * 3 // 4)
        waiters = Waiters(
            cache.signal,
            limit=max_waiters,
            heartbeat=heartbeat,
            on_woken=metrics.wake_delay.observe,
        )
        stack.callback(cache.release_waiters)
        # A check that waits holds a thread: the other half is for what need not be checked.
        checker = SchemaChecker(
            max_waiting=max(1, settings.threads // 2), on_check=metrics.schema_checked
        )
        checks = DocumentChecks(stack.enter_context(checker))
        snapshots = SnapshotService(
            database,
            cache,
            render=render_snapshot,
            render_delta=render_delta,
            compress=compress,
            waiters=waiters,
        )
        writer = ConfigurationWriter(database, cache, checks=checks)
        health = HealthService(database, migrator, outage=outage)
        report = HealthReport(
            health,
            database,
            migrator,
            version=__version__,
            listener=listener.reading,
            embedded=crashes is not None,
        )
        report.watch("pools", lambda: pools_part(database.pool_stats()))
        report.watch("caches", lambda: caches_part(cache.readings()))
        report.watch("waiters", lambda: waiters_part(waiters.reading()))
        services = Services(
            applications=ApplicationService(database, cache),
            configurations=ConfigurationService(
                database, cache, writer=writer, render=render_configuration
            ),
            history=HistoryService(database, writer=writer),
            environments=EnvironmentService(database, cache, checks=checks),
            releases=ReleaseService(database, cache, checks=checks),
            snapshots=snapshots,
            fleet=_open_fleet(settings, database, cache, snapshots, waiters, stack),
            changes=ChangeService(database, cache, waiters=waiters),
            health=health,
            report=report,
            access=access,
            sessions=SessionService(
                database,
                cache,
                identities,
                token_principal=access.principal_of_secret,
                lifetime=settings.session_lifetime,
                idle_timeout=settings.session_idle_timeout,
            ),
            identities=identities,
            tokens=TokenService(database, cache),
            grants=GrantService(database, cache),
        )
        app = create_api(
            services,
            max_body_bytes=settings.max_body_bytes,
            auth_required=settings.requires_auth,
            # Off by name is off for whoever comes; by default it is for this machine alone.
            refuses_proxies=settings.auth is None,
            rate_limit=settings.rate_limit,
            public_url=settings.browser_url,
            cors_origins=settings.cors_origins,
            allowed_hosts=_allowed_hosts(settings),
            metrics=metrics.requests if settings.exports_metrics else None,
            expose=metrics.render if settings.has_metrics_path else None,
            is_traced=instrument is not None,
        )
        _watch(
            metrics,
            database=database,
            cache=cache,
            listener=listener,
            waiters=waiters,
            checker=checker,
            monitoring=MonitoringService(database, migrator),
        )
        if settings.fleet == "on":
            census = FleetCensus(database, cache.fleet, snapshots=snapshots)
            metrics.watch(
                "fleet",
                lambda: _refreshed(census.refresh, lambda: readings.fleet_samples(census.reading)),
            )
        if crashes is not None:
            metrics.watch("embedded", partial(readings.embedded_samples, outage, crashes))
        first_token = _first_token(services.tokens) if settings.requires_auth else None
        yield Runtime(
            app,
            description,
            cache.release_waiters,
            limits,
            metrics,
            report,
            health.drain,
            first_token,
        )


def operator_name() -> str:
    """Return who acts on this machine, for the audit trail."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{user}@{socket.gethostname()}"


def _query_hook(count: Callable[[str, float], None] | None) -> Callable[[str, float], None]:
    """Return what is told of each query; the level of the log may change at any time."""

    def query_done(query: str, seconds: float) -> None:
        if count is not None:
            count(query, seconds)
        if shows_debug():
            _log.debug("query", query=query, duration_ms=round(seconds * 1000, 2))

    return query_done


def _watch(
    metrics: Metrics,
    *,
    database: Database,
    cache: ResponseCache,
    listener: ChangeListener,
    waiters: Waiters,
    checker: SchemaChecker,
    monitoring: MonitoringService,
) -> None:
    """Have metrics tell what the parts of the service know of themselves."""
    metrics.watch(
        "pools",
        lambda: readings.pool_samples(is_up=database.is_available, pools=database.pool_stats()),
    )
    metrics.watch("caches", lambda: readings.cache_samples(cache.readings()))
    metrics.watch("listener", lambda: readings.listener_samples(listener.reading()))
    metrics.watch("waiters", lambda: readings.waiter_samples(waiters.reading()))
    metrics.watch("schema_checks", lambda: readings.checker_samples(checker.waiting))
    metrics.watch(
        "database",
        lambda: _refreshed(monitoring.refresh, lambda: readings.stored_samples(monitoring.latest)),
    )


def _refreshed(
    refresh: Callable[[], Exception | None], samples: Callable[[], Iterator[readings.Sample]]
) -> Iterator[readings.Sample]:
    error = refresh()
    yield from samples()
    if error is not None:
        raise error


def _first_token(tokens: TokenService) -> CreatedToken | None:
    principal = operator(operator_name())
    return tokens.create_first(
        Provenance(principal.name, message="The first start.", principal=principal)
    )


def _auth_settings(settings: Settings) -> AuthSettings:
    if settings.auth_file is None or not settings.requires_auth:
        return AuthSettings()
    return load_auth_file(settings.auth_file)


def _serving_limits(settings: Settings) -> Limits:
    """Return the limits, and raise the soft limit of open files where it is too low."""
    connections = fit_to_open_files(
        settings.max_connections, others=_OTHER_FILES + settings.pool_size
    )
    return Limits(
        max_body_bytes=settings.max_body_bytes,
        head_timeout=settings.head_timeout,
        body_timeout=settings.body_timeout,
        queue_timeout=settings.queue_timeout,
        stall_timeout=settings.stall_timeout,
        idle_timeout=settings.idle_timeout,
        max_connections=connections,
        max_connections_per_peer=min(settings.max_connections_per_peer, connections),
        max_buffered_bytes=settings.max_buffered_bytes,
        trusted_proxies=settings.trusted_proxies,
    )


def _open_fleet(
    settings: Settings,
    database: Database,
    cache: ResponseCache,
    snapshots: SnapshotService,
    waiters: Waiters,
    stack: ExitStack,
) -> FleetService:
    retention = settings.fleet_retention * 86400
    sharing = None
    if settings.fleet == "on":
        sharing = FleetSharing(database, cache, retention=retention)
        sharer = FleetSharer(sharing, cache)
        sharer.start()
        stack.callback(sharer.stop)
    return FleetService(
        database,
        cache,
        snapshots=snapshots,
        sharing=sharing,
        waiters=waiters,
        retention=retention,
    )


def _allowed_hosts(settings: Settings) -> Sequence[str]:
    # Who listens for this machine alone is reached from elsewhere by a trick only.
    is_open = not settings.allowed_hosts and not settings.is_local
    return (ALL_HOSTS,) if is_open else settings.allowed_hosts
