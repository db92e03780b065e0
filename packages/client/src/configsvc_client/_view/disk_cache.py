"""Disk cache: the last good snapshot, to start a process while the server is unavailable.

One file for each server, application and environment: a line that says whose it is, and records.
The first record is a snapshot, each one after it a delta, so that a change need not write all of a
large snapshot again. Several processes may share the file. A record whose snapshot came in by
another process is not written twice; one that does not belong to what is before it is passed over.
Whatever is wrong with the file or the disk, the application goes on without.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from logging import getLogger
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from configsvc_client._values.entries import delta_base, plain_tag
from configsvc_client._values.snapshot import Snapshot
from configsvc_client._values.snapshot_documents import (
    read_delta,
    read_snapshot,
    share,
    with_digests,
    write_snapshot,
)

__all__ = ["DiskCache", "Saved"]

_log = getLogger("configsvc_client")

_FORMAT: Final = "configsvc-snapshot-2"

# Group and others may neither read nor write.
_OTHERS: Final = 0o077


class Saved(NamedTuple):
    """Snapshot found on the disk."""

    snapshot: Snapshot
    age: float
    """Seconds since it was saved, by the wall clock; never negative."""


class _End(NamedTuple):
    """What is known of the end of the file."""

    etag: str | None
    """Of the last snapshot in it, without quotes."""
    base_size: int
    """Bytes up to the end of the first record."""
    size: int
    inode: int


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
        self._end: _End | None = None

    def load(self, *, previous: Snapshot | None = None) -> Saved | None:
        """Return the saved snapshot, or ``None`` if there is none that can be trusted.

        Args:
            previous: a snapshot to share unchanged configurations with.
        """
        try:
            with self._open() as file:
                return self._load(file, previous)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._report("can't be read", error)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            self._report("is ignored", error)
        return None

    def save(self, snapshot: Snapshot, body: bytes) -> None:
        """Put a snapshot into the file; a problem is logged and kept in ``error``.

        Args:
            snapshot: the snapshot.
            body: the snapshot as the server sent it, or the delta that made it from the one
                before.
        """
        try:
            base = delta_base(body)
            if base is None:
                self._replace(self._record(snapshot, body))
            elif not self._append(snapshot, body, base):
                digests = {name: digest.hex() for name, digest in (snapshot.digests or {}).items()}
                self._replace(self._record(snapshot, write_snapshot(snapshot), digests=digests))
        except OSError as error:
            self._report("can't be written", error)
        else:
            self.error = None

    def _open(self) -> BinaryIO:
        """Open the file for reading, if nobody else can have written it.

        Raises:
            OSError: it can't be read.
            ValueError: it is no file of this user, or of root.
        """
        # Opening a pipe would wait for whoever writes into it.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(self.path, flags)
        try:
            _check_trust(os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return os.fdopen(descriptor, "rb")

    def _load(self, file: BinaryIO, previous: Snapshot | None) -> Saved:
        self._read_head(file)
        start = file.tell()
        saved_at = None if previous is None else _skip_to(file, previous)
        if previous is not None and saved_at is not None:
            return _apply(file, previous, saved_at)
        file.seek(start)
        about, body = next(_records(file), (None, b""))
        if about is None:
            raise ValueError("it is damaged")
        snapshot = read_snapshot(body, about["etag"], previous=previous)
        if snapshot.digests is None and about.get("digests"):
            snapshot = with_digests(
                snapshot, {name: bytes.fromhex(text) for name, text in about["digests"].items()}
            )
        saved = _apply(file, snapshot, float(about["saved_at"]))
        if previous is None or saved.snapshot is snapshot:
            return saved
        return saved._replace(snapshot=share(saved.snapshot, previous))

    def _read_head(self, file: BinaryIO) -> None:
        about = json.loads(file.readline())
        if about["format"] != _FORMAT or about["key"] != self._key:
            raise ValueError("it belongs to another view or format")

    def _record(
        self,
        snapshot: Snapshot,
        body: bytes,
        *,
        base: str | None = None,
        digests: Mapping[str, str] | None = None,
    ) -> bytes:
        about = {
            "etag": snapshot.etag,
            "base": base,
            "saved_at": time.time(),
            "length": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "digests": digests,
        }
        return json.dumps(about).encode() + b"\n" + body + b"\n"

    def _append(self, snapshot: Snapshot, body: bytes, base: str) -> bool:
        """Append a delta; return whether the snapshot is in the file now."""
        # "a" would make a file that others may read.
        flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(self.path, flags)
        except OSError:
            # It is gone, or a link; whatever else it is, writing all of it shows.
            return False
        with os.fdopen(descriptor, "rb") as file:
            end = self._find_end(file)
            if end is None:
                return False
            if end.etag == snapshot.version:
                self._end = end
                return True
            record = self._record(snapshot, body, base=base)
            size = end.size + len(record)
            if end.etag != base or size - end.base_size > end.base_size // 2:
                return False
            # One call, so that those of several processes do not mix.
            if os.write(descriptor, record) != len(record):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._end = end._replace(etag=snapshot.version, size=size)
            return True

    def _find_end(self, file: BinaryIO) -> _End | None:
        """Return the end of the file, or ``None`` if nothing can be appended to it."""
        about = os.fstat(file.fileno())
        if hasattr(os, "geteuid") and (about.st_uid != os.geteuid() or about.st_mode & _OTHERS):
            return None
        end, self._end = self._end, None
        try:
            if end is None or end.inode != about.st_ino or end.size > about.st_size:
                self._read_head(file)
                first, _ = next(_records(file, skip=True))
                end = _End(plain_tag(first["etag"]), file.tell(), file.tell(), about.st_ino)
            file.seek(end.size)
            for record, _ in _records(file):
                # That of another process, if it is the next.
                if record["base"] == end.etag:
                    end = end._replace(etag=plain_tag(record["etag"]))
            return end._replace(size=file.tell())
        except (ValueError, TypeError, KeyError, StopIteration):
            return None

    def _replace(self, record: bytes) -> None:
        self._end = None
        head = json.dumps({"format": _FORMAT, "key": self._key}).encode() + b"\n"
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes files that only their owner can read.
        descriptor, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(head)
                file.write(record)
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


def _check_trust(about: os.stat_result) -> None:
    """Check that nobody but this user, or root, can have written a file.

    Raises:
        ValueError: somebody else can.
    """
    if not stat.S_ISREG(about.st_mode):
        raise ValueError("it is no regular file")
    if hasattr(os, "geteuid"):
        if about.st_uid not in {0, os.geteuid()}:
            raise ValueError("it is another user's")
        # Not so for a group: Kubernetes lets that of a pod write all files of its volumes.
        if about.st_mode & stat.S_IWOTH:
            raise ValueError("everybody may write it")


def _skip_to(file: BinaryIO, snapshot: Snapshot) -> float | None:
    """Go behind the last record with a snapshot that is known, and return when it was saved.

    Returns:
        The wall clock then; ``None`` if there is none that deltas can be applied to.
    """
    found, saved_at = file.tell(), None
    if snapshot.digests is not None:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            for about, _ in _records(file, skip=True):
                if plain_tag(about["etag"]) == snapshot.version:
                    found, saved_at = file.tell(), float(about["saved_at"])
    file.seek(found)
    return saved_at


def _apply(file: BinaryIO, snapshot: Snapshot, saved_at: float) -> Saved:
    """Apply the deltas from here on."""
    # What a process was about to write when it ended is torn; what is before it counts.
    with contextlib.suppress(ValueError, TypeError, KeyError):
        for about, body in _records(file):
            if about["base"] == snapshot.version:
                snapshot = read_delta(body, about["etag"], base=snapshot)
                saved_at = float(about["saved_at"])
    return Saved(snapshot, max(0.0, time.time() - saved_at))


def _records(file: BinaryIO, *, skip: bool = False) -> Iterator[tuple[Mapping[str, Any], bytes]]:
    """Yield the records from here on, each with its description and its body.

    Args:
        file: the file, at the beginning of a record.
        skip: whether to pass over bodies without reading them.

    Raises:
        ValueError, TypeError, KeyError: a record is damaged.
    """
    size = os.fstat(file.fileno()).st_size
    while line := file.readline():
        about = json.loads(line)
        length = int(about["length"])
        # What a length says that is damaged might not fit into memory.
        if not 0 <= length <= size or not isinstance(about["etag"], str | None):
            raise ValueError("it is damaged")
        body = b""
        if skip:
            file.seek(length, os.SEEK_CUR)
        else:
            body = file.read(length)
            if hashlib.sha256(body).hexdigest() != about["sha256"]:
                raise ValueError("it is damaged")
        if file.read(1) != b"\n":
            raise ValueError("it is damaged")
        yield about, body
