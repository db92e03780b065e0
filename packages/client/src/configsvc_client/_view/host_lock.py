"""Host lock: the lock on a file by which the processes of a host elect one of them.

It is a record lock of POSIX (``lockf``), and not ``flock``: the kernel frees it when its process
ends, however it ends, and a forked child neither has it nor keeps it alive. A lock by ``flock``
belongs to the open file, which a child shares: as long as one lives that never closes it, such
as a child of a host that forks without Python's hooks, nobody takes over from a dead parent.

The price is that a process loses a record lock when it closes the file anywhere else. So within
one process only one lock of a path may be in use, and the holder asks again once in a while.
"""

import errno
import os
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

__all__ = ["HAS_LOCKS", "HostLock"]

_in_use: Final[dict[str, "HostLock"]] = {}


class HostLock:
    """Lock that one process of a host has at a time; used by one thread."""

    def __init__(self, path: Path) -> None:
        """Create a lock that is not taken yet.

        Args:
            path: the file to lock; it is created, and stays.
        """
        self._path = path
        self._key = str(path.absolute())
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock, or make sure that it is still there, and return whether it is.

        Raises:
            OSError: the file can't be created, or locks don't work there.
        """
        if not HAS_LOCKS:
            raise OSError(errno.ENOTSUP, "this system has no locks on files", str(self._path))
        if self._descriptor is not None and self._is_replaced(self._descriptor):
            self.release()
        # No lock around it: what one thread holds at a fork, a child would wait for for ever.
        if _in_use.setdefault(self._key, self) is not self:
            return False
        is_held = False
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            is_held = _lock(self._descriptor)
        finally:
            if not is_held:
                self.release()
        return is_held

    def release(self) -> None:
        """Let another process have the lock."""
        self._close()
        if _in_use.get(self._key) is self:
            del _in_use[self._key]

    def after_fork_in_child(self) -> None:
        """Forget the lock, which is the parent's; closing the file here takes nothing from it."""
        self.release()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        try:
            return os.open(self._path, flags, 0o600)
        except FileNotFoundError:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self._path, flags, 0o600)

    def _is_replaced(self, descriptor: int) -> bool:
        """Return whether somebody removed the file, so that others lock a new one."""
        mine = os.fstat(descriptor)
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return True
        return (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        # POSIX allows both where another process has it.
        return False
    return True
