"""Fake server: routing of requests to the functions that answer them."""

import json
import re
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from requests.structures import CaseInsensitiveDict

from configsvc_client._fake import (
    applications,
    changes,
    configurations,
    environments,
    fleet,
    history,
    releases,
    tokens,
)
from configsvc_client._fake.calls import Call, Reply
from configsvc_client._fake.documents import Record
from configsvc_client._fake.problems import ProblemError
from configsvc_client._fake.rules import check
from configsvc_client._fake.state import State
from configsvc_client._http.types import Request, Response

if TYPE_CHECKING:
    from configsvc_client.errors import ConfigSvcError

__all__ = ["FakeServer"]

_ROUTES: Final[dict[str, Callable[..., Reply]]] = {
    "applications": applications.collection,
    "applications/*": applications.single,
    "applications/*/configurations": configurations.nested,
    "applications/*/environments": environments.collection,
    "applications/*/environments/*": environments.single,
    "applications/*/environments/*/convergence": fleet.convergence,
    "applications/*/environments/*/instances": fleet.collection,
    "applications/*/environments/*/instances/*": fleet.single,
    "applications/*/environments/*/snapshot": environments.snapshot,
    "applications/*/promote": releases.promote,
    "configurations": configurations.collection,
    "configurations/validate": configurations.validate,
    "configurations/*": configurations.single,
    "configurations/*/diff": history.diff,
    "configurations/*/releases": releases.collection,
    "configurations/*/releases/rollback": releases.roll_back,
    "configurations/*/restore": history.restore,
    "configurations/*/revisions": history.revisions,
    "configurations/*/revisions/*": history.revision,
    "configurations/*/rollback": history.roll_back,
    "changes": changes.collection,
    "grants": tokens.grants,
    "grants/*": tokens.grant,
    "me": tokens.me,
    "tokens": tokens.tokens,
    "tokens/*": tokens.token,
    "tokens/*/rotate": tokens.rotate,
}

_PATTERNS: Final = {
    re.compile("/api/v1/" + template.replace("*", "([^/]+)")): template for template in _ROUTES
}

_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)


class FakeServer:
    """Server in memory, with the methods of a transport such as :class:`HttpTransport`."""

    def __init__(self, on_write: Callable[[], None]) -> None:
        """Create a server without any applications.

        Args:
            on_write: called after every change.
        """
        self.failure: ConfigSvcError | None = None
        """Error that every request raises; ``None`` to answer it."""
        self.requests: list[Request] = []
        """Requests so far, oldest first."""
        self._on_write = on_write
        self._state = State()
        self._instances = 0
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()

    def send(self, request: Request, token: str | None = None) -> Response:
        """Answer a request as the server would.

        Args:
            request: the request.
            token: the token that it has; ``None`` for a client that may do everything.
        """
        self.requests.append(request)
        if self.failure is not None:
            raise self.failure
        request_id = f"request-{len(self.requests)}"
        try:
            with self._lock:
                principal = tokens.principal_of(self._state, token)
                call = Call(request, request_id, self._now(), principal)
                document, etag, status = self._answer(call)
                body = b"" if document is None else json.dumps(document).encode()
        except ProblemError as problem:
            status, etag, body = problem.status, None, json.dumps(problem.document).encode()
        headers = CaseInsensitiveDict({"ETag": f'"{etag}"'} if etag else {})
        if request.method == "GET" and etag and request.headers.get("If-None-Match") == f'"{etag}"':
            return Response(request, HTTPStatus.NOT_MODIFIED, headers, b"", request_id)
        if request.method != "GET" and status < HTTPStatus.BAD_REQUEST:
            self._on_write()
        return Response(request, status, headers, body, request_id)

    def new_instance_id(self) -> str:
        """Return the id of one more client."""
        self._instances += 1
        return f"instance-{self._instances}"

    def meet(
        self,
        application: str,
        environment: str,
        instance_id: str,
        serves: str | None,
        rejections: Sequence[Record],
    ) -> None:
        """Take note of what a view has, as the next poll of a real one would tell.

        Args:
            application: name or id of the application.
            environment: the name of the environment.
            instance_id: the id of the client.
            serves: the tag of the snapshot that it has, without quotes.
            rejections: why it rejects that.
        """
        call = Call(Request("GET", ""), "", self._now())
        with self._lock:
            fleet.meet(self._state, call, application, environment, instance_id, serves, rejections)

    def lose(self, application: str, environment: str, instance_id: str) -> None:
        """Take note that a view is closed."""
        with self._lock:
            fleet.lose(self._state, application, environment, instance_id)

    def close(self) -> None:
        """Do nothing; there is nothing to close."""

    def has_other_token(self) -> bool:
        """Return that it has not; nothing waits for one."""
        return False

    def after_fork_in_child(self) -> None:
        """Replace the lock; a child has its own copy of everything else."""
        self._reset()

    def _answer(self, call: Call) -> Reply:
        for pattern, template in _PATTERNS.items():
            found = pattern.fullmatch(call.request.path)
            if found is not None:
                keys = tuple(map(unquote, found.groups()))
                check(self._state, call, template, keys)
                return _ROUTES[template](self._state, call, *keys)
        raise ProblemError(HTTPStatus.NOT_FOUND, "not-found", f"No {call.request.path} here.")

    def _now(self) -> str:
        # Not the real time: tests that print it must print the same tomorrow.
        timestamp = _EPOCH + timedelta(seconds=len(self.requests))
        return timestamp.isoformat(timespec="microseconds").replace("+00:00", "Z")
