"""``configsvc serve``: run the server until a signal stops it."""

import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import click

from configsvc_server import __version__
from configsvc_server.app import Runtime, open_database, open_services
from configsvc_server.cli.errors import operator_errors
from configsvc_server.cli.log_level import level_signals, registered
from configsvc_server.cli.migrate import report_migration
from configsvc_server.cli.options import PRECEDENCE, setting_options, settings_from_flags
from configsvc_server.cli.signals import StopSignals
from configsvc_server.http import PREFIX
from configsvc_server.http.resources.metrics import METRICS_PATH, create_metrics_api
from configsvc_server.logs import DeferredStream, configure_logging
from configsvc_server.services.tokens import CreatedToken
from configsvc_server.serving.memory import give_back_freed_memory
from configsvc_server.serving.metrics_server import MetricsServer
from configsvc_server.serving.server import HttpServer, bind_sockets
from configsvc_server.settings import Settings
from configsvc_server.telemetry import traces
from configsvc_server.telemetry.readings import serving_samples
from configsvc_server.telemetry.report import connections_part, lanes_part

__all__ = ["serve"]


@click.command(epilog=PRECEDENCE)
@setting_options(*Settings.model_fields)
def serve(**flags: object) -> None:
    """Run the server until it is stopped (Ctrl-C or SIGTERM)."""
    started = time.monotonic()
    with (
        StopSignals() as signals,
        operator_errors(signals.ends_start),
        _printing() as say,
        ExitStack() as stack,
    ):
        settings = settings_from_flags(flags)
        configure_logging(level=settings.log_level, log_format=settings.log_format)
        level_signals(settings.log_level)
        give_back_freed_memory()
        with signals.interrupting():
            # Before anything is started or migrated: the address may be taken.
            sockets = bind_sockets(settings.host, settings.port)
            address = settings.metrics_address
            metrics_sockets = [] if address is None else bind_sockets(*address)
        for taken in (*sockets, *metrics_sockets):
            stack.callback(taken.close)
        # Port 0 stands for any; from here on everything names the one that it is.
        settings = settings.model_copy(update={"port": sockets[0].getsockname()[1]})
        database = stack.enter_context(open_database(settings, cancelled=signals.requested))
        if settings.database_url is None and settings.data_dir is not None:
            stack.enter_context(registered(settings.data_dir))
        instrument = None
        if settings.traces == "otlp":
            instrument = stack.enter_context(traces.exported(__version__))
        with signals.interrupting():
            runtime = stack.enter_context(
                open_services(
                    settings,
                    database.url,
                    description=database.description,
                    outage=database.outage,
                    crashes=database.crashes,
                    on_migration=report_migration,
                    instrument=instrument,
                )
            )
            server = HttpServer(
                runtime.app,
                host=settings.host,
                port=settings.port,
                sockets=sockets,
                threads=settings.threads,
                limits=runtime.limits,
                shutdown_timeout=settings.shutdown_timeout,
                on_stop=runtime.release_waiters,
            )
            runtime.metrics.watch("serving", lambda: serving_samples(server.reading()))
            runtime.report.watch("connections", lambda: connections_part(server.reading()))
            runtime.report.watch("lanes", lambda: lanes_part(server.reading()))
            metrics_port = None
            if metrics_sockets:
                metrics_app = create_metrics_api(runtime.metrics.render, runtime.report.read)
                metrics_server = MetricsServer(metrics_app, metrics_sockets)
                metrics_port = stack.enter_context(metrics_server).port
            signals.on_stop(_Stop(server, runtime, settings.drain_time, say))
        seconds = time.monotonic() - started
        say(_banner(settings, server.port, runtime.database, seconds, metrics_port))
        if runtime.first_token is not None:
            say(_first_token(settings, runtime.first_token))
        server.run()
        say("Stopping.")
        stack.close()
        say("Stopped.")


class _Stop:
    """Stop of a server that load balancers are to notice first.

    SIGTERM comes from whoever runs the server; Ctrl-C from somebody who waits for its end.
    """

    def __init__(
        self, server: HttpServer, runtime: Runtime, drain_time: float, say: Callable[[str], object]
    ) -> None:
        self._server = server
        self._runtime = runtime
        self._drain_time = drain_time
        self._say = say
        self._is_draining = False

    def __call__(self, number: int) -> None:
        """Handle a signal; the second one ends the draining."""
        is_first, self._is_draining = not self._is_draining, True
        self._runtime.drain()
        if not (is_first and number == signal.SIGTERM and self._drain_time):
            self._server.stop()
            return
        self._say(f"Draining for {self._drain_time:g} seconds; a second signal stops at once.")
        self._server.stop(after=self._drain_time)


_AUTHORIZATION = '-H "authorization: Bearer $CONFIGSVC_TOKEN" '


def _access(settings: Settings) -> str:
    if settings.requires_auth:
        return "with a token (configsvc token create)"
    if settings.is_local:
        return "NO AUTHENTICATION: everybody on this machine may do everything (--auth required)"
    return "NO AUTHENTICATION: EVERYBODY WHO REACHES THIS ADDRESS MAY DO EVERYTHING (--auth off)"


def _sign_in(settings: Settings) -> str:
    return f"  Sign in:   {settings.browser_url}/auth/sign-in\n" if settings.requires_auth else ""


def _warnings(settings: Settings) -> str:
    if settings.auth_file is None or settings.requires_auth:
        return ""
    return (
        f"  WARNING:   {settings.auth_file} IS NOT READ: without authentication nobody signs in "
        "(--auth required)\n"
    )


@contextmanager
def _printing() -> Iterator[Callable[[str], object]]:
    """Yield a function that prints, and never waits for whoever reads standard output."""
    stream = DeferredStream(sys.stdout)
    try:
        yield lambda text: stream.write(f"{text}\n")
    finally:
        stream.close()


def _first_token(settings: Settings, created: CreatedToken) -> str:
    # Whoever has set it by a variable has it there again.
    is_given = settings.database_url is None and "data_dir" in settings.model_fields_set
    where = f" --data-dir {shlex.quote(str(settings.data_dir))}" if is_given else ""
    return (
        "\n  The first start: this token may do everything. It is shown only now; keep it safe.\n"
        f"    {created.secret}\n"
        "  Lost? Make another on this machine: "
        f"configsvc token create NAME --admin{where}\n"
    )


def _metrics(settings: Settings, url: str, metrics_port: int | None) -> str:
    address = settings.metrics_address
    if address is not None and metrics_port is not None:
        return _url(address[0], metrics_port) + METRICS_PATH
    if settings.has_metrics_path:
        return url + METRICS_PATH
    return "off (--metrics on, or --metrics 0.0.0.0:9464 for a port of their own)"


def _url(host: str, port: int) -> str:
    shown = "localhost" if host in {"127.0.0.1", "0.0.0.0", "::"} else host  # noqa: S104
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _banner(
    settings: Settings, port: int, database: str, seconds: float, metrics_port: int | None
) -> str:
    url = _url(settings.host, port)
    return (
        f"configsvc {__version__} answers at {url} (started in {seconds:.1f} s)\n"
        f"  Database:  {database}\n"
        f"  API docs:  {url}/docs\n"
        f"  Access:    {_access(settings)}\n"
        f"{_sign_in(settings)}"
        f"  Metrics:   {_metrics(settings, url, metrics_port)}\n"
        f"{_warnings(settings)}"
        f"  Try:       curl -X POST {url}{PREFIX}/applications "
        f"""{_AUTHORIZATION if settings.requires_auth else ""}"""
        """-H 'content-type: application/json' -d '{"name":"billing"}'\n"""
        "  Stop:      Ctrl-C"
    )
