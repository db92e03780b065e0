"""Exit codes and messages for errors that the operator can correct."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import psycopg

from configsvc_server.db.embedded import EmbeddedPostgresError
from configsvc_server.db.migrations import MigrationError
from configsvc_server.domain.errors import UnavailableError
from configsvc_server.serving.server import ListenError
from configsvc_server.settings import SettingsError

__all__ = ["operator_errors"]

_OPERATOR_ERRORS = (
    SettingsError,
    EmbeddedPostgresError,
    MigrationError,
    UnavailableError,
    ListenError,
    psycopg.Error,
    OSError,
)


@contextmanager
def operator_errors() -> Iterator[None]:
    """Exit with one line per problem on an error that the operator can correct."""
    try:
        yield
    except _OPERATOR_ERRORS as error:
        for line in str(error).strip().splitlines():
            click.echo(f"configsvc: {line.strip()}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("Stopped before the start was complete.", err=True)
        sys.exit(130)
