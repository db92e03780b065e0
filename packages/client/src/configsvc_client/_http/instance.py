"""Instance: who a client is to its server, as each poll of a view tells it.

The value of the header is made once for each process and view. It is an RFC 8941 dictionary, of
which all members but the id are for people.
"""

import os
import re
import sys
import time
from pathlib import PurePath
from socket import gethostname
from typing import Final

from configsvc_client._fork import check_process, protect
from configsvc_client._http.version import own_version
from configsvc_client.options import Options

__all__ = ["Instance"]

_LONGEST: Final = 100
"""Characters of a member."""

_LONGEST_ID: Final = 64

_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")

_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Instance:
    """Identity of one client in one process; a forked child has another."""

    def __init__(self, options: Options) -> None:
        """Create an identity without looking at anything.

        Args:
            options: the settings of the client.
        """
        self._options = options
        self._is_child = False
        self._ids: list[str] = []
        self._headers: dict[tuple[int, int, int | None], str] = {}
        protect(self.after_fork_in_child)

    @property
    def id(self) -> str:
        """Id, made at its first use in a process."""
        check_process()
        if not self._ids:
            # Of threads that come here at once, the first decides; no lock, for forks.
            self._ids.append(self._make_id())
        return self._ids[0]

    def header(self, *, interval: int, processes: int = 1, rejects: int | None = None) -> str:
        """Return the value of the header.

        Args:
            interval: seconds until the next poll, at most.
            processes: number of processes that follow these polls.
            rejects: reasons to reject the snapshot that is held; ``None`` to say nothing of it.
        """
        key = interval, processes, rejects
        made = self._headers.get(key)
        if made is None:
            parts = [f'id="{self.id}"', *self._description(), f"interval={interval}"]
            if processes > 1:
                parts.append(f"processes={processes}")
            if rejects is not None:
                parts.append(f"rejects={rejects}")
            made = self._headers[key] = ", ".join(parts)
        return made

    def after_fork_in_child(self) -> None:
        """Become another instance than the parent."""
        self._is_child = True
        self._ids, self._headers = [], {}

    def _make_id(self) -> str:
        given = self._options.instance_id
        if given is None:
            return _ulid()
        if not self._is_child:
            return given
        # Two instances of one id would hide each other.
        suffix = f"~{os.getpid()}"
        return given[: _LONGEST_ID - len(suffix)] + suffix

    def _description(self) -> list[str]:
        options, environ = self._options, os.environ
        service = options.service or environ.get("CONFIGSVC_SERVICE")
        members = {
            "service": service or environ.get("OTEL_SERVICE_NAME") or _program(),
            "version": options.service_version or environ.get("CONFIGSVC_SERVICE_VERSION"),
            "sdk": f"configsvc-client/{own_version()}",
            "host": gethostname(),
        }
        return [f'{name}="{_string(text)}"' for name, text in members.items() if text]


def _string(text: str) -> str:
    """Return a text as RFC 8941 has it between quotes."""
    shown = _UNPRINTABLE.sub("?", text[:_LONGEST])
    return shown.replace("\\", "\\\\").replace('"', '\\"')


def _program() -> str:
    """Return the name of the program: its file, or the package that ``python -m`` runs."""
    path = PurePath(sys.argv[0] if sys.argv else "")
    name = path.parent.name if path.name == "__main__.py" else path.name
    return name if name not in {"", "-c", "-m"} else PurePath(sys.executable).name


def _ulid() -> str:
    number = (int(time.time() * 1000) << 80) | int.from_bytes(os.urandom(10), "big")
    return "".join(_DIGITS[(number >> shift) & 31] for shift in range(125, -1, -5))
