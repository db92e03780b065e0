"""Postmaster: the process that serves a data directory, whatever the files in there say.

The files of a killed PostgreSQL stay, and the process id in them may belong to anything by now,
also to the PostgreSQL of another folder. What tells is the folder that a process works in.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from configsvc_server.db.embedded_errors import pause

__all__ = ["Postmaster", "is_alive", "processes_in", "read_postmaster", "wait_for_end"]

_POLL_INTERVAL = 0.02
"""Seconds between two looks at whether a process has ended."""

_LINES = 8


@dataclass(frozen=True, slots=True)
class Postmaster:
    """Running postmaster, with what it wrote into its file ``postmaster.pid``."""

    process: psutil.Process
    host: str
    """Folder of its socket, or its host name on Windows."""
    port: int
    status: str
    """``starting``, ``ready`` or ``stopping``."""


def read_postmaster(folder: Path) -> Postmaster | None:
    """Return the postmaster of a data directory, or ``None`` if none is alive.

    Args:
        folder: the data directory.
    """
    try:
        lines = [line.strip() for line in (folder / "postmaster.pid").read_text().splitlines()]
        process = psutil.Process(int(lines[0]))
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return None
    if not is_alive(process) or not _works_in(process, folder):
        return None
    # The file is written line by line while PostgreSQL starts.
    lines += [""] * (_LINES - len(lines))
    port = int(lines[3]) if lines[3].isdigit() else 0
    return Postmaster(process, lines[4] or lines[5], port, lines[7] or "starting")


def processes_in(folder: Path) -> list[psutil.Process]:
    """Return every process of PostgreSQL that works in a data directory.

    After a kill of the postmaster they may live on for a moment, and a busy or frozen one for
    longer; as long as one does, PostgreSQL refuses to start in the folder.
    """
    return [
        process
        for process in psutil.process_iter()
        if _works_in(process, folder) and is_alive(process)
    ]


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; one that only waits to be collected does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for_end(
    processes: Iterable[psutil.Process],
    *,
    seconds: float,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[psutil.Process]:
    """Wait until processes have ended, and return those that have not.

    Args:
        processes: what to wait for; they need not be children.
        seconds: how long to wait at most.
        cancelled: whether the process is to stop.

    Raises:
        StartCancelledError: the process is to stop.
    """
    deadline = time.monotonic() + seconds
    alive = [process for process in processes if is_alive(process)]
    while alive and time.monotonic() < deadline:
        pause(_POLL_INTERVAL, cancelled)
        alive = [process for process in alive if is_alive(process)]
    return alive


def _works_in(process: psutil.Process, folder: Path) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        if not process.name().startswith("postgres"):
            return False
        try:
            return os.path.samestat(_working_folder(process), folder.stat())
        except (psutil.AccessDenied, PermissionError):
            return str(folder) in process.cmdline()
    return False


def _working_folder(process: psutil.Process) -> os.stat_result:
    # The link leads to the folder itself; the text of it would be misleading for a process in a
    # container, which may have the same path for another folder.
    link = Path(f"/proc/{process.pid}/cwd")
    return link.stat() if psutil.LINUX else Path(process.cwd()).stat()
