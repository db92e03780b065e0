"""Bounds that the database keeps on what grows by many writes, as errors that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.errors import CheckViolation

from configsvc_server.domain.errors import SnapshotTooLargeError, StateError
from configsvc_server.domain.models import MAX_CONFIGURATIONS, MAX_SNAPSHOT_BYTES

__all__ = ["explained_bounds"]


@contextmanager
def explained_bounds() -> Iterator[None]:
    """Raise what breaks a bound while the block runs as an error of the domain.

    Raises:
        SnapshotTooLargeError: an environment would serve more than fits into one snapshot.
        StateError: an application would have too many configurations.
    """
    try:
        yield
    except CheckViolation as error:
        match error.diag.constraint_name:
            case "snapshot_sizes_amount_is_bounded":
                environment = error.diag.message_detail or ""
                raise SnapshotTooLargeError(environment, MAX_SNAPSHOT_BYTES) from None
            case "totals_configurations_are_bounded":
                message = f"An application has at most {MAX_CONFIGURATIONS} configurations."
                raise StateError("too-many-configurations", message) from None
        raise
