"""``configsvc serve``: run the server until a signal stops it."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import click

from configsvc_server import __version__
from configsvc_server.app import open_runtime, serving_limits
from configsvc_server.cli.errors import operator_errors
from configsvc_server.cli.migrate import report_migration
from configsvc_server.cli.options import PRECEDENCE, setting_options, settings_from_flags
from configsvc_server.http import PREFIX
from configsvc_server.logs import DeferredStream, configure_logging
from configsvc_server.serving.server import HttpServer
from configsvc_server.settings import Settings

__all__ = ["serve"]

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@click.command(epilog=PRECEDENCE)
@setting_options(*Settings.model_fields)
def serve(**flags: object) -> None:
    """Run the server until it is stopped (Ctrl-C or SIGTERM)."""
    started = time.monotonic()
    with operator_errors(), _stop_signals() as on_stop, _printing() as say:
        settings = settings_from_flags(flags)
        configure_logging(level=settings.log_level, log_format=settings.log_format)
        with open_runtime(settings, on_migration=report_migration) as runtime:
            server = HttpServer(
                runtime.app,
                host=settings.host,
                port=settings.port,
                threads=settings.threads,
                waiters=settings.max_waiters,
                limits=serving_limits(settings),
                shutdown_timeout=settings.shutdown_timeout,
                on_stop=runtime.release_waiters,
            )
            on_stop(server.stop)
            seconds = time.monotonic() - started
            say(_banner(settings.host, server.port, runtime.database, seconds))
            server.run()
            say("Stopping.")
        say("Stopped.")


@contextmanager
def _printing() -> Iterator[Callable[[str], object]]:
    """Yield a function that prints, and never waits for whoever reads standard output."""
    stream = DeferredStream(sys.stdout)
    try:
        yield lambda text: stream.write(f"{text}\n")
    finally:
        stream.close()


@contextmanager
def _stop_signals() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Yield a function that registers what SIGTERM and Ctrl-C are to call.

    Until something is registered, they raise ``KeyboardInterrupt``.
    """
    callbacks: list[Callable[[], None]] = []

    def handle(_number: int, _frame: FrameType | None) -> None:
        if not callbacks:
            raise KeyboardInterrupt
        for callback in callbacks:
            callback()

    previous = {number: signal.signal(number, handle) for number in _STOP_SIGNALS}
    try:
        yield callbacks.append
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _banner(host: str, port: int, database: str, seconds: float) -> str:
    shown = "localhost" if host in {"127.0.0.1", "0.0.0.0", "::"} else host  # noqa: S104
    url = f"http://{shown}:{port}"
    return (
        f"configsvc {__version__} answers at {url} (started in {seconds:.1f} s)\n"
        f"  Database:  {database}\n"
        f"  API docs:  {url}/docs\n"
        f"  Try:       curl -X POST {url}{PREFIX}/applications "
        """-H 'content-type: application/json' -d '{"name":"billing"}'\n"""
        "  Stop:      Ctrl-C"
    )
