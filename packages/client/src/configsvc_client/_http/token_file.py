"""Token file: a token that something else writes, read anew whenever the file is another.

A platform that gives a program its identity mounts a file, and replaces it before the token in it
expires. Kubernetes does so by a symlink to another folder, others rename or rewrite the file: all
of that shows in what ``stat`` says of the file at the end of the links.
"""

import os
import stat
import time
from logging import getLogger
from pathlib import Path
from typing import Final

from configsvc_client.options import token_problem

__all__ = ["TokenFile"]

_log = getLogger("configsvc_client")

_MAX_SIZE: Final = 64 * 1024

_SETTLED: Final = 2_000_000_000
"""Nanoseconds after which the time of a file tells whether it was written again."""


class TokenFile:
    """Token function that returns what a file has, with one ``stat`` for each call.

    It has no lock: threads that read at the same time read the same.
    """

    __slots__ = ("_known", "_path", "_problem")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Read the file for the first time.

        Raises:
            ValueError: there is no token in it.
        """
        self._path = Path(path)
        self._known: tuple[object, str] = (None, "")
        self._problem: str | None = None
        problem = self._read()
        if problem is not None:
            raise ValueError(f"token_file: {os.fspath(path)!r} {problem}")

    def __call__(self) -> str:
        """Return the token; the last one where the file has none any more."""
        problem = self._read()
        if problem is not None and problem != self._problem:
            _log.warning(
                "The token file %r %s; the last token goes on being sent", str(self._path), problem
            )
        self._problem = problem
        return self._known[1]

    def __repr__(self) -> str:
        return f"<TokenFile {str(self._path)!r}>"

    def _read(self) -> str | None:
        """Take the token in the file if that is another one, and return what is wrong with it."""
        try:
            found = self._path.stat()
            if not stat.S_ISREG(found.st_mode):
                return "is no regular file"
            state = _state(found)
            # The state is from before, so that what is written meanwhile is read the next time.
            if state is not None and state == self._known[0]:
                return None
            with self._path.open("rb") as file:
                content = file.read(_MAX_SIZE + 1)
        except OSError as error:
            return f"can't be read ({error.strerror or type(error).__name__})"
        if len(content) > _MAX_SIZE:
            return f"is larger than {_MAX_SIZE} bytes"
        token = content.decode("latin-1").strip()
        problem = token_problem(token)
        if problem is None:
            self._known = (state, token)
        return problem


def _state(found: os.stat_result) -> object:
    """Return what is another once a file is; ``None`` where it was written just now.

    The clock of a file system moves in steps: what is written twice within one looks the same.
    """
    if abs(time.time_ns() - found.st_mtime_ns) < _SETTLED:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
