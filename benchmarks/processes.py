"""Server processes that a benchmark kills, starts again and watches: signals, readiness, memory.

Linux only: memory, descriptors and threads are those of ``/proc``.
"""

import contextlib
import http.client
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import psutil

from benchmarks.servers import BenchmarkError, clean_environment

MIB: Final = 1024 * 1024
"""In bytes."""

POLL_INTERVAL: Final = 0.02
"""Seconds between two looks at something that is awaited."""

_ATTEMPT_TIMEOUT: Final = 2.0
"""Seconds that one question for the readiness may take."""


_END_TIMEOUT: Final = 10.0
"""Seconds that killed processes may take to be gone."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, for a server that is started again."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def ask(
    port: int, path: str, *, timeout: float, headers: Mapping[str, str] | None = None
) -> int | None:
    """Return the status of a GET over a new connection, or ``None`` where no answer came.

    Args:
        port: of 127.0.0.1.
        path: with its query.
        timeout: in seconds, of each step: to connect, and to wait for the next bytes.
        headers: of the request.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={**(headers or {}), "Connection": "close"})
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return response.status


class ServerProcess:
    """``configsvc serve`` on a port of its own, which can be killed and started again."""

    def __init__(
        self, command: Sequence[str], folder: Path, *, name: str, port: int, mute: bool = False
    ) -> None:
        """Describe a server; :meth:`start` starts it.

        Args:
            command: its command line, which has to end in the choice of ``port``.
            folder: where it runs, and where its log is.
            name: of its log in ``folder``.
            port: of 127.0.0.1, on which it answers.
            mute: whether its standard error is a pipe that nobody reads, instead of the log.
        """
        self.port = port
        self.log = folder / f"{name}.log"
        self._command = list(command)
        self._folder = folder
        self._mute = mute
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The id of the process that was started last."""
        return self._started.pid

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise BenchmarkError(f"{self._command} was never started.")
        return self._process

    def start(self) -> None:
        """Start the process without waiting for anything."""
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=subprocess.PIPE if self._mute else log,
                cwd=self._folder,
                env=clean_environment(),
            )

    def is_ready(self) -> bool:
        """Return whether it says that it can do its work."""
        return ask(self.port, "/health/ready", timeout=_ATTEMPT_TIMEOUT) == http.HTTPStatus.OK

    def wait_until_ready(self, timeout: float) -> None:
        """Wait until it is ready.

        Raises:
            BenchmarkError: it ended, or was not ready in time.
        """
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if not self.is_running:
                raise BenchmarkError(f"{self._command} ended:\n{self.log.read_text()[-2000:]}")
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{self._command} was not ready within {timeout:.0f} s.")
            time.sleep(POLL_INTERVAL)

    def kill(self) -> None:
        """End the process by SIGKILL, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._close()

    def stop(self, timeout: float) -> float | None:
        """Ask the process to end; kill it where it does not.

        Returns:
            How many seconds that took, or ``None`` where it had to be killed.
        """
        begun = time.monotonic()
        if self.is_running:
            self._started.send_signal(signal.SIGTERM)
            try:
                self._started.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                return None
        self._close()
        return time.monotonic() - begun

    def _close(self) -> None:
        if self._process is not None and self._process.stderr is not None:
            self._process.stderr.close()


def postmaster(data_dir: Path) -> psutil.Process | None:
    """Return the process of the embedded PostgreSQL of a data directory, if there is one."""
    try:
        pid = int((data_dir / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        # What was killed stays a zombie where nobody waits for orphans, as in containers.
        is_alive = process.status() != psutil.STATUS_ZOMBIE and "postgres" in process.name()
    except (OSError, ValueError, psutil.Error):
        return None
    return process if is_alive else None


def end_postgres(data_dir: Path) -> None:
    """End the embedded PostgreSQL of a data directory that its last server has left behind."""
    process = postmaster(data_dir)
    if process is not None:
        processes = [process, *process.children()]
        for victim in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        psutil.wait_procs(processes, timeout=_END_TIMEOUT)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process took at one time."""

    seconds: float
    """Since the watch began."""
    rss: int
    """Resident memory of the process alone, in bytes."""
    children: int
    """Resident memory of its child processes except PostgreSQL, in bytes."""
    files: int
    """Open file descriptors."""
    threads: int


class Watch:
    """Thread that samples what a process takes, until the block ends or the process does."""

    def __init__(self, pid: int, *, interval: float) -> None:
        """Prepare the watch; it begins with the block.

        Args:
            pid: of the process.
            interval: seconds between two samples.
        """
        self.samples: list[Sample] = []
        self._process = psutil.Process(pid)
        self._interval = interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def peak(self) -> int:
        """The largest resident memory of process and children together, in bytes."""
        return max((sample.rss + sample.children for sample in self.samples), default=0)

    def _run(self) -> None:
        begun = time.monotonic()
        while True:
            try:
                self.samples.append(self._sample(time.monotonic() - begun))
            except psutil.Error:
                return
            if self._over.wait(self._interval):
                return

    def _sample(self, seconds: float) -> Sample:
        process = self._process
        with process.oneshot():
            return Sample(
                seconds=seconds,
                rss=process.memory_info().rss,
                children=sum(map(_memory, process.children(recursive=True))),
                files=process.num_fds(),
                threads=process.num_threads(),
            )


def _memory(child: psutil.Process) -> int:
    try:
        return 0 if "postgres" in child.name() else int(child.memory_info().rss)
    except psutil.Error:
        return 0
