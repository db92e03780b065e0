"""Fork detection: whatever has threads, locks or sockets is renewed in a forked child.

Python calls hooks after its own ``os.fork``. A host that forks by itself, such as uWSGI, need
not, so reads look too. A process id would have to be asked for at each read, which costs several
times what the read does; a page of memory that the system clears in a child costs a load.
"""

import mmap
import os
import time
import weakref
from collections.abc import Callable
from typing import Final

__all__ = ["check_process", "own_process", "postfork", "protect"]

_MADV_WIPEONFORK: Final = 18  # Linux 4.14; the mmap module has no name for it


class _ProcessId:
    """Flag that compares process ids; slower, for systems that clear no memory at a fork."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __bool__(self) -> bool:
        return os.getpid() == self._pid

    def set(self) -> None:
        self._pid = os.getpid()


class _ClearedPage:
    """Page of memory that the system clears in a forked child."""

    def __init__(self) -> None:
        # Not at import, which is to be quick.
        import ctypes  # noqa: PLC0415

        self._page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._page.madvise(_MADV_WIPEONFORK)
        # Whether a pointer is null is the quickest that ctypes can tell.
        self.flag: object = ctypes.POINTER(ctypes.c_char).from_buffer(self._page)
        self.set()

    def set(self) -> None:
        self._page[0] = 1


_renewals: Final[set[weakref.WeakMethod[Callable[[], None]]]] = set()
_claims: dict[int, object] = {}
_marks: list[_ClearedPage | _ProcessId] = []


def own_process() -> object:
    """Return a flag that is true, and false in a forked child until everything is renewed."""
    if not _marks:
        mark: _ClearedPage | _ProcessId
        try:
            mark = _ClearedPage()
        except (ImportError, AttributeError, OSError, ValueError):
            mark = _ProcessId()
        # Two threads may come here at once; one flag is everybody's.
        _marks.append(mark)
    first = _marks[0]
    return first.flag if isinstance(first, _ClearedPage) else first


def protect(renew: Callable[[], None]) -> None:
    """Call a method in forked children, as long as its object lives.

    Args:
        renew: a bound method that replaces locks without waiting for one, and drops threads
            and connections.
    """
    own_process()
    # Those that are gone are looked for here: a callback of theirs could come amid anything.
    for reference in list(_renewals):
        if reference() is None:
            _renewals.discard(reference)
    _renewals.add(weakref.WeakMethod(renew))


def check_process() -> None:
    """Renew everything if this is a forked child in which nobody has done so yet."""
    if not own_process():
        postfork()


def postfork() -> None:
    """Renew every client in a forked child, where the host skips Python's own hooks.

    There is no need to call it: each use of a client looks by itself. It does nothing in a
    process that did not fork, and nothing the second time.

    Example:
        >>> import configsvc_client
        >>> configsvc_client.postfork()  # such as from uwsgidecorators.postfork
    """
    if own_process():
        return
    pid, claim = os.getpid(), object()
    # No lock: one that a thread of the parent held stays held for ever in the child.
    if _claims.setdefault(pid, claim) is not claim:
        deadline = time.monotonic() + 1.0
        while not own_process() and time.monotonic() < deadline:
            time.sleep(0.001)
        return
    # Another thread may have finished just before this one claimed it.
    if not own_process():
        for reference in list(_renewals):
            renew = reference()
            if renew is not None:
                renew()
        _marks[0].set()
    # A child of this one may get the number of a process that has ended.
    _claims.clear()


def _after_fork_in_child() -> None:
    if _marks:
        postfork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
