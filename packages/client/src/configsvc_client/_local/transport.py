"""Local transport: answers requests for snapshots from files."""

from http import HTTPStatus
from typing import Final, NoReturn
from urllib.parse import unquote

from requests.structures import CaseInsensitiveDict

from configsvc_client._http.api import PREFIX
from configsvc_client._http.poll_schedule import PollSchedule
from configsvc_client._http.types import Request, Response
from configsvc_client._local.files import LocalFiles
from configsvc_client.errors import ClosedError, NotFoundError, TransportError

__all__ = ["LocalSchedule", "LocalTransport", "no_server"]

_LOOKUP: Final = {"name", "limit"}


class LocalTransport:
    """Transport whose server is a folder or a file.

    A view and all that belongs to it is thus the same as with a server; what only a server can
    do is an error.
    """

    def __init__(self, files: LocalFiles) -> None:
        """Create a transport, which looks at no file yet.

        Args:
            files: the files; several transports may share them.
        """
        self._files = files
        self._is_closed = False

    def send(self, request: Request) -> Response:
        """Answer a request for the present snapshot, and refuse every other.

        Raises:
            ClosedError: it is closed.
            ConfigFileError: a file can't be read.
            NotFoundError: there is no such application.
            TransportError: the request needs a server.
        """
        if self._is_closed:
            raise ClosedError("This client is closed.")
        if request.path == f"{PREFIX}/applications" and request.params.keys() == _LOOKUP:
            # A name with a slash is looked up first.
            name = request.params["name"]
            raise NotFoundError(f"There is no application {name!r}: no folder has such a name.")
        steps = request.path.removeprefix(f"{PREFIX}/").split("/")
        match [request.method, *map(unquote, steps)]:
            case ["GET", "applications", application, "environments", environment, "snapshot"]:
                if request.params:
                    no_server(self._files, request, "files have no history")
            case _:
                no_server(self._files, request)
        anew = request.headers.get("Cache-Control") == "no-cache"
        state = self._files.read(application, environment, anew=anew)
        headers = CaseInsensitiveDict({"ETag": state.etag})
        if not anew and request.headers.get("If-None-Match") == state.etag:
            return Response(request, HTTPStatus.NOT_MODIFIED, headers, b"", "")
        return Response(request, HTTPStatus.OK, headers, state.body, "")

    def close(self) -> None:
        """Answer no more requests."""
        self._is_closed = True

    def has_other_token(self) -> bool:
        """Return that it has not: files take none."""
        return False

    def after_fork_in_child(self) -> None:
        """Do nothing: there are neither connections nor locks."""


class LocalSchedule(PollSchedule):
    """Schedule of looks at files, which cost little, also after failures."""

    EVERY: Final = 0.25
    """Seconds between two looks."""
    SLOWEST: Final = 0.5
    """Seconds between two looks at so many files that it takes long."""
    SHARE: Final = 0.02
    """Share of the time to spend on looking at most, unless it takes really long."""

    def __init__(self) -> None:
        """Create the schedule."""
        super().__init__(interval=self.EVERY, long_poll=0.0)

    def succeeded(self, *, has_change: bool, asked: float, granted: bool, took: float) -> float:
        """Return the delay before the next look."""
        if has_change:
            # It took long because it was read, and more may come.
            return self.EVERY
        return max(self.EVERY, min(took / self.SHARE, self.SLOWEST))

    def failed(
        self,
        *,
        asked: float,
        took: float,
        may_be_cut: bool,
        retry_after: float | None = None,
        is_refusal: bool = False,
    ) -> tuple[float, bool]:
        """Return the delay before the next look, and that this failure is one."""
        return self.EVERY, True


def no_server(files: LocalFiles, request: Request | None = None, why: str = "") -> NoReturn:
    """Refuse what needs a server.

    Args:
        files: the files in its place.
        request: the request that it would answer.
        why: the reason for people.

    Raises:
        TransportError: always.
    """
    what = f"{request.method} {request.path}" if request else "This"
    raise TransportError(
        f"{what} needs a server, and this client has files in its place, {files.path}"
        f"{f': {why}' if why else ''}.",
        method=request.method if request else None,
        path=request.path if request else None,
    )
