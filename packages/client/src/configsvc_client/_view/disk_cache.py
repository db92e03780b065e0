"""Disk cache: the last good snapshot, to start a process while the server is unavailable.

One file for each server, application and environment: a line that describes the snapshot,
and the snapshot as the server sent it. It is a convenience: whatever is wrong with it or with
the disk, the application goes on without.
"""

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
from logging import getLogger
from pathlib import Path
from typing import Final, NamedTuple

from configsvc_client._values.snapshot import Snapshot, read_snapshot

__all__ = ["DiskCache", "Saved"]

_log = getLogger("configsvc_client")

_FORMAT: Final = "configsvc-snapshot-1"


class Saved(NamedTuple):
    """Snapshot found on the disk."""

    snapshot: Snapshot
    age: float
    """Seconds since it was saved, by the wall clock; never negative."""


class DiskCache:
    """File with the last snapshot of one view."""

    def __init__(self, folder: Path, *, url: str, application: str, environment: str) -> None:
        self._key = [url, application, environment]
        digest = hashlib.sha256(json.dumps(self._key).encode()).hexdigest()[:16]
        readable = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{application}-{environment}")[:60].strip("-")
        self.path: Path = folder / f"{readable}-{digest}.snapshot"
        """Path of the file."""
        self.error: str | None = None
        """Last problem; ``None`` after a success."""

    def load(self) -> Saved | None:
        """Return the saved snapshot, or ``None`` if there is none that can be trusted."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._report("can't be read", error)
            return None
        try:
            head, _, body = content.partition(b"\n")
            about = json.loads(head)
            if about["format"] != _FORMAT or about["key"] != self._key:
                raise ValueError("it belongs to another view or format")  # noqa: TRY301
            if about["sha256"] != hashlib.sha256(body).hexdigest():
                raise ValueError("it is damaged")  # noqa: TRY301
            snapshot = read_snapshot(body, about["etag"])
            age = max(0.0, time.time() - float(about["saved_at"]))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            self._report("is ignored", error)
            return None
        return Saved(snapshot, age)

    def save(self, snapshot: Snapshot, body: bytes) -> None:
        """Replace the file; a problem is logged and kept in ``error``.

        Args:
            snapshot: the snapshot.
            body: the snapshot as the server sent it.
        """
        about = {
            "format": _FORMAT,
            "key": self._key,
            "etag": snapshot.etag,
            "saved_at": time.time(),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        try:
            self._replace(json.dumps(about).encode() + b"\n" + body)
        except OSError as error:
            self._report("can't be written", error)
        else:
            self.error = None

    def _replace(self, content: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes files that only their owner can read.
        descriptor, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

    def _report(self, what: str, error: Exception) -> None:
        message = f"The copy {self.path} {what}: {error}"
        # The same problem is logged once: a disk that stays full fails every time.
        if message != self.error:
            _log.warning("%s", message)
        self.error = message
