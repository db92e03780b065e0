"""Crew: the processes that follow a shared poller, as the one that polls counts and reports them.

Each of them has a small file in a folder beside the copy, which it writes anew once in a while. It
says which snapshot the process has and why it rejects that, without a value; a process that follows
sends nothing itself. Files that nobody writes any more are of processes that have ended.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from configsvc_client._view.rejections import Reason
from configsvc_client._view.shared_state import RecordFile

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Crew", "Member", "look_for_crew"]


class Member:
    """Process that follows, as its own file has it."""

    EVERY: Final = 15.0
    """Seconds after which the file is written anew, even if it says the same."""

    SIZE: Final = 3500
    """Bytes of what it says; reasons that are more are left out."""

    def __init__(self, folder: Path) -> None:
        """Create a member without a file.

        Args:
            folder: the folder of the crew.
        """
        self._folder = folder
        self._path = folder / f"{os.getpid()}-{os.urandom(4).hex()}"
        self._written: object = None
        self._written_at = 0.0

    def keep(self, version: str | None, reasons: "Sequence[Reason]", now: float) -> None:
        """Write the file if it says something else, or has not been written for long.

        Args:
            version: tag of the snapshot that this process has, without quotes.
            reasons: why it rejects that.
            now: the monotonic time in seconds.

        Raises:
            OSError: it can't be written.
        """
        fields: list[Any] = [version, [list(reason) for reason in reasons]]
        while fields[1] and len(json.dumps(fields)) > self.SIZE:
            fields[1] = fields[1][:-1]
        if fields == self._written and now - self._written_at < self.EVERY:
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        RecordFile(self._path).write_fields(fields)
        self._written, self._written_at = fields, now

    def leave(self) -> None:
        """Remove the file."""
        if self._written is not None:
            self._written = None
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


_MAX_AGE: Final = 3 * Member.EVERY
"""Seconds since a file was written, after which its process has ended."""


class Crew(NamedTuple):
    """Processes that follow, at one time."""

    members: int
    """How many there are."""
    reasons: tuple[Reason, ...]
    """Why they reject a snapshot, each reason once."""


def look_for_crew(folder: Path, version: str | None) -> Crew:
    """Return the processes that follow, and remove the files of those that have ended.

    Args:
        folder: the folder of the crew.
        version: tag of the snapshot that the reasons are to be for.
    """
    members, found = 0, dict[Reason, None]()
    for path in _files(folder):
        fields = RecordFile(path).read_fields(max_age=_MAX_AGE)
        if fields is not None:
            members += 1
            found.update(dict.fromkeys(_reasons(fields, version)))
            continue
        # It may be just being written.
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _MAX_AGE:
                path.unlink()
    return Crew(members, tuple(found))


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _reasons(fields: "Sequence[object]", version: str | None) -> Iterator[Reason]:
    if len(fields) != len(Reason._fields) - 1 or fields[0] != version:
        return
    for entry in fields[1] if isinstance(fields[1], list) else ():
        if isinstance(entry, list) and len(entry) == len(Reason._fields):
            name, pointer, message = entry
            yield Reason(None if name is None else str(name), str(pointer), str(message))
