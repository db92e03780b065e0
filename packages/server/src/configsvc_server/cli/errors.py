"""Exit codes and messages for errors that the operator can correct."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
import psycopg

from configsvc_server.db.embedded import EmbeddedPostgresError
from configsvc_server.db.migrations import MigrationError
from configsvc_server.domain.errors import ConfigSvcError
from configsvc_server.identity.settings import AuthFileError
from configsvc_server.serving.server import ListenError
from configsvc_server.settings import SettingsError
from configsvc_server.telemetry.traces import TracesError

__all__ = ["operator_errors"]

_OPERATOR_ERRORS = (
    AuthFileError,
    SettingsError,
    EmbeddedPostgresError,
    MigrationError,
    ConfigSvcError,
    ListenError,
    TracesError,
    psycopg.Error,
    OSError,
)


@contextmanager
def operator_errors(stopped: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Exit with one line per problem on an error that the operator can correct.

    Args:
        stopped: whether the start is to be given up. Then an error says nothing: what stops us
            may have stopped the database as well.

    Raises:
        KeyboardInterrupt: there was an error after the command was told to stop.
    """
    try:
        yield
    except _OPERATOR_ERRORS as error:
        if stopped():
            raise KeyboardInterrupt from error
        for line in str(error).strip().splitlines():
            click.echo(f"configsvc: {line.strip()}", err=True)
        sys.exit(1)
