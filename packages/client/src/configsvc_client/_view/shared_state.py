"""Shared state: what the processes of a host tell each other, each in a small file.

A file is written in place, so that a heartbeat each second costs the disk as little as may be; a
checksum tells a record that is half written. Times are those of the monotonic clock, which is the
same for all processes until the system starts anew, and which nobody sets.
"""

import json
import os
import time
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from configsvc_client.errors import (
    ConfigSvcError,
    NotFoundError,
    ServerError,
    TransportError,
)

__all__ = ["RecordFile", "SharedState", "StateFile"]

_SIZE: Final = 4096

# Opening a pipe that somebody has put there would wait.
_SAFELY: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_LONGEST_ERROR: Final = 400

_ERRORS: Final = {kind.__name__: kind for kind in (NotFoundError, ServerError, TransportError)}


class SharedState(NamedTuple):
    """State of the process that polls."""

    leader: str
    """Id of the poller; another with each that begins to lead."""
    generation: int
    """Number of its snapshots so far; 0 where it has none yet."""
    etag: str | None
    """ETag of its snapshot; ``None`` where that is not in the copy on disk."""
    asked_at: float
    """Monotonic time at which the request began that confirmed the snapshot."""
    confirmed_at: float
    """Monotonic time of the response to it."""
    error: tuple[str, str] | None = None
    """Class and message of the failure of the last request; ``None`` where it succeeded."""

    @classmethod
    def name_error(cls, error: ConfigSvcError) -> tuple[str, str]:
        """Return class and message of an error, as a state has them."""
        return type(error).__name__, str(error)[:_LONGEST_ERROR]

    def read_error(self) -> ConfigSvcError | None:
        """Return the error as one to keep."""
        if self.error is None:
            return None
        name, message = self.error
        return _ERRORS.get(name, ConfigSvcError)(message)


class RecordFile:
    """Small file with one record, which one process writes in place and others read."""

    def __init__(self, path: Path) -> None:
        """Create an object for the file without touching it.

        Args:
            path: the file.
        """
        self._path = path
        self._boot = _boot_id()

    def write_fields(self, fields: Sequence[Any]) -> None:
        """Replace the record, and the time of it.

        Args:
            fields: JSON values.

        Raises:
            OSError: the file can't be written.
        """
        text = json.dumps([self._boot, time.monotonic(), *fields], ensure_ascii=False)
        # A server may say anything in an error, also half a pair of surrogates.
        record = text.encode(errors="replace")
        content = b"%08x %s" % (zlib.crc32(record), record)
        flags = os.O_WRONLY | os.O_CREAT | _SAFELY
        descriptor = os.open(self._path, flags, 0o600)
        try:
            os.write(descriptor, content.ljust(_SIZE))
        finally:
            os.close(descriptor)

    def read_fields(self, *, max_age: float) -> list[Any] | None:
        """Return the fields, or ``None`` if nobody keeps them up to date.

        Args:
            max_age: seconds since they were written, at most.
        """
        try:
            boot, written_at, *fields = json.loads(self._record())
            # Before the system started anew, or on another host, the clock was another.
            is_recent = boot == self._boot and 0 <= time.monotonic() - written_at <= max_age
        except (OSError, ValueError, TypeError, LookupError):
            return None
        return fields if is_recent else None

    def _record(self) -> bytes:
        descriptor = os.open(self._path, os.O_RDONLY | _SAFELY)
        try:
            if hasattr(os, "geteuid") and os.fstat(descriptor).st_uid != os.geteuid():
                raise ValueError("it is another user's")
            content = os.read(descriptor, _SIZE)
        finally:
            os.close(descriptor)
        checksum, _, record = content.rstrip().partition(b" ")
        if int(checksum, 16) != zlib.crc32(record):
            raise ValueError("it is being written")
        return record


class StateFile(RecordFile):
    """File with the state of the process that polls."""

    def write(self, state: SharedState) -> None:
        """Replace the state, and the heartbeat with it.

        Raises:
            OSError: the file can't be written.
        """
        self.write_fields(state)

    def read(self, *, max_age: float) -> SharedState | None:
        """Return the state, or ``None`` if nobody keeps it up to date.

        Args:
            max_age: seconds since it was written, at most.
        """
        fields = self.read_fields(max_age=max_age)
        if fields is None:
            return None
        try:
            leader, generation, etag, asked_at, confirmed_at, error = fields
            return SharedState(
                str(leader),
                int(generation),
                None if etag is None else str(etag),
                float(asked_at),
                float(confirmed_at),
                None if error is None else (str(error[0]), str(error[1])),
            )
        except (ValueError, TypeError, LookupError):
            return None


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return os.uname().nodename if hasattr(os, "uname") else ""
