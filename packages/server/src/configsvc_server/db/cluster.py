"""PostgreSQL cluster: a data directory that is made, started and stopped."""

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from configsvc_server.db.embedded_errors import ClusterError, EmbeddedPostgresError, pause
from configsvc_server.db.installation import IS_WINDOWS, Installation, user_name
from configsvc_server.db.postmaster import (
    Postmaster,
    processes_in,
    read_postmaster,
    wait_for_end,
)

__all__ = ["Cluster"]

_POLL_INTERVAL = 0.05
"""Seconds between two looks at whether something is done."""

_PORT = 5432
"""Port in the name of the socket; nothing listens on it."""

_SOCKET_NAME = f".s.PGSQL.{_PORT}"

_SOCKET_PATH_BYTES = 103
"""Longest path of a socket, in bytes: that of macOS; Linux allows four more."""

_UNFINISHED = "postgres.new-"


class Cluster:
    """Data directory of PostgreSQL, and the server on it.

    Two processes must not call its methods at once: the caller holds a lock.
    """

    SUPERUSER = "postgres"
    """User of the database; everybody who may use the socket may log in."""

    SURVIVOR_TIMEOUT = 1.0
    """Seconds that what a killed PostgreSQL left running may take to end before it is killed."""

    STOP_TIMEOUT = 30.0
    """Seconds that a stop may take, which writes what is only in memory; if it takes longer,
    the next start recovers that from the log."""

    ABORT_TIMEOUT = 5.0
    """Seconds that a stop without writing may take before everything is killed."""

    def __init__(self, folder: Path) -> None:
        """Prepare the use of a data directory, which need not be there.

        Args:
            folder: the data directory; its parent is there.

        Raises:
            ImportError: the wheel is not installed.
            ClusterError: there is no user to run PostgreSQL as.
        """
        self.folder = folder
        self.log = folder / "log"
        """What PostgreSQL says until it opens its own log in ``log_files``."""
        self._installation = Installation()
        self._child: subprocess.Popen[bytes] | None = None
        self._socket_folder: Path | None = None
        self._log_size = 0

    def create(self, options: Mapping[str, str], *, cancelled: Callable[[], bool]) -> None:
        """Make the data directory, all at once: a start that is cut off leaves none.

        Args:
            options: settings for its ``postgresql.conf``, as SQL literals.
            cancelled: whether the process is to stop.

        Raises:
            ClusterError, OSError: it can't be made.
            StartCancelledError: the process is to stop.
        """
        parent = self.folder.parent
        for leftover in parent.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        if self.folder.is_dir() and any(self.folder.iterdir()):
            raise ClusterError(f"{self.folder} has files, but no database; move them away")
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=parent))
        try:
            self._initialize(unfinished, cancelled)
            lines = "".join(f"{name} = {value}\n" for name, value in options.items())
            with (unfinished / "postgresql.conf").open("a", encoding="utf-8") as file:
                file.write(f"\n# Written by configsvc when this folder was made.\n{lines}")
            if self.folder.is_dir():
                self.folder.rmdir()
            unfinished.rename(self.folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        # Without this, a power cut may undo the new name of what has data by then.
        _sync_folder(parent)

    def find(self) -> Postmaster | None:
        """Return the running postmaster, or ``None`` if there is none."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        return read_postmaster(self.folder)

    def start(self, *, deadline: float, cancelled: Callable[[], bool]) -> Postmaster:
        """Start PostgreSQL unless it is running, and return it once it accepts connections.

        Args:
            deadline: when to give up, by ``time.monotonic()``. What is starting then goes on.
            cancelled: whether the process is to stop.

        Raises:
            ClusterError, OSError: it can't be started.
            EmbeddedPostgresError: something that can't be seen uses the data directory.
            StartCancelledError: the process is to stop; what is starting is left to :meth:`stop`.
        """
        postmaster = self.find()
        if postmaster is not None and postmaster.status == "stopping":
            left = deadline - time.monotonic()
            if wait_for_end([postmaster.process], seconds=left, cancelled=cancelled):
                raise ClusterError("the one that is stopping does not end")
            postmaster = None
        if postmaster is None:
            self._check_files()
            self._clear(cancelled)
            self._launch()
        while True:
            postmaster = self.find()
            if postmaster is not None and postmaster.status == "ready":
                return postmaster
            if postmaster is None and self._child is None and not IS_WINDOWS:
                raise ClusterError(self._last_error())
            if time.monotonic() > deadline:
                raise ClusterError("it does not accept connections in time")
            pause(_POLL_INTERVAL, cancelled)

    def stop(self) -> None:
        """Stop PostgreSQL, and return when it has ended; do nothing if it does not run."""
        postmaster = self.find()
        running = {postmaster.process} if postmaster is not None else set()
        if self._child is not None:
            # It may not have written its file yet.
            with contextlib.suppress(psutil.NoSuchProcess):
                running.add(psutil.Process(self._child.pid))
        alive = list(running)
        if IS_WINDOWS and alive:
            self._control("stop", "-m", "fast", "-t", str(round(self.STOP_TIMEOUT)))
            alive = wait_for_end(alive, seconds=self.ABORT_TIMEOUT)
        elif alive:
            # Fast, and then without a checkpoint.
            for number, seconds in (
                (signal.SIGINT, self.STOP_TIMEOUT),
                (signal.SIGQUIT, self.ABORT_TIMEOUT),
            ):
                for process in alive:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.send_signal(number)
                alive = wait_for_end(alive, seconds=seconds)
        if alive:
            _kill([*alive, *processes_in(self.folder)])
        if self._child is not None and self._child.poll() is not None:
            self._child = None

    def leave(self) -> None:
        """Leave PostgreSQL to the other processes that use it."""
        if self._child is not None:
            # It outlives us on purpose, which Popen would warn of.
            self._child.returncode = 0
            self._child = None

    def _initialize(self, folder: Path, cancelled: Callable[[], bool]) -> None:
        self._installation.give(folder)
        self._installation.open_to_user(folder)
        with tempfile.TemporaryFile() as output:
            process = self._installation.start(
                "initdb",
                *("--auth=trust", "--encoding=utf8", f"--username={self.SUPERUSER}"),
                f"--pgdata={folder}",
                folder=folder,
                output=output,
            )
            try:
                while process.poll() is None:
                    pause(_POLL_INTERVAL, cancelled)
            finally:
                if process.poll() is None:
                    _kill_group(process)
            if process.returncode != 0:
                output.seek(0)
                text = output.read().decode(errors="replace")
                raise ClusterError(_last_line(text, "error:") or f"initdb: {process.returncode}")

    def _check_files(self) -> None:
        """Refuse what this PostgreSQL would refuse, with a reason that says what to do."""
        expected = str(self._installation.version)
        with contextlib.suppress(PermissionError):
            version = (self.folder / "PG_VERSION").read_text().strip()
            if version != expected:
                raise ClusterError(
                    f"expecting version {expected} of PostgreSQL, but found version {version}"
                )
        if IS_WINDOWS:
            return
        owner, uid = self.folder.stat().st_uid, self._installation.uid
        if owner != uid:
            raise ClusterError(
                f"{self.folder} belongs to the user {user_name(owner) or owner}, but PostgreSQL "
                f"runs as {user_name(uid) or uid}"
            )

    def _clear(self, cancelled: Callable[[], bool]) -> None:
        """Remove what a killed PostgreSQL left: its last processes and its lock files.

        PostgreSQL would take any process of its user that has an id in one of the files for
        itself. We know better: no process of it works in this folder.
        """
        survivors = wait_for_end(
            processes_in(self.folder), seconds=self.SURVIVOR_TIMEOUT, cancelled=cancelled
        )
        # Their postmaster is dead, so nothing that they do is confirmed to anybody.
        _kill(survivors)
        path = self._socket_path()
        if not IS_WINDOWS and _accepts_connections(path):
            raise EmbeddedPostgresError(
                "A PostgreSQL that can't be seen from here serves the data directory "
                f"{self.folder.parent}, perhaps in another container. Stop it, or set "
                "CONFIGSVC_DATA_DIR to another folder."
            )
        lock = path.with_name(f"{_SOCKET_NAME}.lock")
        for leftover in (self.folder / "postmaster.pid", path, lock):
            leftover.unlink(missing_ok=True)

    def _launch(self) -> None:
        self._installation.open_to_user(self.folder)
        # The folder is not root's, who must not be led to another file.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(self.log, flags, 0o600), "ab") as log:
            self._installation.give(self.log)
            self._log_size = log.tell()
            if IS_WINDOWS:
                # It gives up the rights of an administrator, which PostgreSQL refuses to have.
                listen = f"-h 127.0.0.1 -p {_free_port()}"
                self._control("start", "-W", "-l", str(self.log), "-o", listen)
                return
            # Not by pg_ctl: only our own child is sure to be found if the start is given up.
            self._child = self._installation.start(
                "postgres",
                *("-D", str(self.folder), "-h", "", "-p", str(_PORT)),
                *("-k", str(self._socket_path().parent)),
                folder=self.folder,
                output=log,
            )

    def _control(self, *arguments: str) -> None:
        with tempfile.TemporaryFile() as output:
            self._installation.start(
                *("pg_ctl", *arguments, "-D", str(self.folder)), folder=self.folder, output=output
            ).wait()

    def _last_error(self) -> str:
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(self._log_size)
            text = log.read().decode(errors="replace")
            for word in ("PANIC:", "FATAL:", "postgres:"):
                if line := _last_line(text, word):
                    return line
        return "it ended during its start"

    def _socket_path(self) -> Path:
        if self._socket_folder is None:
            self._socket_folder = self._find_socket_folder()
        return self._socket_folder / _SOCKET_NAME

    def _find_socket_folder(self) -> Path:
        if IS_WINDOWS or _is_short(self.folder):
            return self.folder
        private = Path(tempfile.gettempdir()) / f"configsvc-{self._installation.uid}"
        name = f"{self.folder}-{self.folder.stat().st_ino}"
        folder = private / hashlib.sha256(name.encode()).hexdigest()[:10]
        if not _is_short(folder):
            raise ClusterError(f"the paths of {self.folder} and {folder} are too long for a socket")
        for path in (private, folder):
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
                self._installation.give(path)
            # Everybody may make folders there, also under this name.
            if path.is_symlink() or path.lstat().st_uid != self._installation.uid:
                raise ClusterError(f"{path} belongs to another user; remove it, or set TMPDIR")
        return folder


def _last_line(text: str, word: str) -> str:
    """Return what follows a word in the last line that has it; empty if none has."""
    found = [line.partition(word)[2].strip() for line in text.splitlines() if word in line]
    return found[-1] if found else ""


def _is_short(folder: Path) -> bool:
    return len(os.fsencode(folder / _SOCKET_NAME)) <= _SOCKET_PATH_BYTES


def _accepts_connections(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except TimeoutError:
            return True
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    wait_for_end(processes, seconds=10.0)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with what it has started, and wait for it."""
    if IS_WINDOWS:
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _sync_folder(folder: Path) -> None:
    if IS_WINDOWS:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
