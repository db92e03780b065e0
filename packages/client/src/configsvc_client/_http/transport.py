"""HTTP transport over requests, with one session per thread, bounds, and retries.

``requests.Session`` is not promised to be safe between threads, so each thread has its own.
Retries and redirects are done here and not by urllib3 and requests, which would sleep through a
:meth:`HttpTransport.close`, give up on a response that is cut amid its body, and read the body
of a redirect whole, however large.
"""

import os
import threading
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from configsvc_client._fork import check_process
from configsvc_client._http.bodies import ENCODING, EncodingError, read_body
from configsvc_client._http.connections import Adapter, Sockets, TooLargeError, Wire
from configsvc_client._http.credentials import NO_CREDENTIALS, Credentials, credentials_of
from configsvc_client._http.failures import FAILURES, Failure
from configsvc_client._http.redirects import is_http, is_same_server, shown, target_of
from configsvc_client._http.retries import delay_before
from configsvc_client._http.token_watch import TokenWatch
from configsvc_client._http.types import Request, Response
from configsvc_client._http.version import own_version
from configsvc_client.errors import AuthError, ClosedError, ServerError, TransportError
from configsvc_client.options import Options

__all__ = ["HttpTransport"]


class HttpTransport:
    """Sender of requests to one server, safe to share between threads and with forked children."""

    MAX_REDIRECTS: Final = 10
    """Number of redirects in a row that a GET follows."""

    def __init__(self, options: Options, *, retries: int) -> None:
        """Create a transport without connecting.

        Args:
            options: the settings of the client.
            retries: attempts after the first, for requests that may be repeated safely.
        """
        self._options = options
        self._retries = retries
        self._watch = TokenWatch(options)
        self._closed = False
        self._inherited: list[threading.local] = []
        self._reset()

    def _reset(self) -> None:
        self._local = threading.local()
        self._sockets = Sockets()
        self._closing = threading.Event()
        if self._closed:
            self._closing.set()

    def send(self, request: Request) -> Response:
        """Send a request and return the response, whatever its status.

        Raises:
            AuthError: the token function gave no token.
            ClosedError: :meth:`close` was called.
            ServerError: the response is larger than allowed, or can't be decoded.
            TransportError: no response came, or not the whole of it in time.
        """
        check_process()
        self._check_open()
        deadline = time.monotonic() + self._options.total_timeout + (request.read_timeout or 0.0)
        request_id = os.urandom(12).hex()
        facts: dict[str, Any] = {
            "method": request.method,
            "path": request.path,
            "request_id": request_id,
        }
        credentials = credentials_of(self._options)
        if isinstance(credentials, str):
            self._watch.refused(NO_CREDENTIALS)
            raise AuthError(f"{request.method} {request.path}: {credentials}", **facts)
        self._check_open()
        may_have_arrived = is_renewed = False
        retry = 1
        while True:
            outcome = self._attempt(request, request_id, credentials, deadline)
            if isinstance(outcome, ServerError):
                raise outcome
            renewed = None if is_renewed else self._watch.renewed(outcome, credentials)
            if renewed is not None:
                # The server has done nothing, so that this is safe for a write too.
                self._check_open()
                credentials, is_renewed = renewed, True
                continue
            delay = delay_before(retry, request, outcome) if retry <= self._retries else None
            if delay is None or time.monotonic() + delay >= deadline:
                break
            self._closing.wait(delay)
            self._check_open()
            may_have_arrived |= isinstance(outcome, Response) or outcome.may_have_arrived
            retry += 1
        if isinstance(outcome, Response):
            self._watch.answered(outcome, credentials)
            return outcome._replace(retried=may_have_arrived)
        self._check_open()
        reason = outcome.describe(self._secret_urls())
        message = f"{request.method} {self._options.url}{request.path}: {reason}"
        raise TransportError(message, **facts) from outcome.cause

    def close(self) -> None:
        """End every request that is under way, promptly, whatever it waits for.

        It waits for no thread itself. A name that is being resolved and a token function can't
        be interrupted; their threads go on until those return, and no further.
        """
        self._closed = True
        self._closing.set()
        self._sockets.shut_down()

    def has_other_token(self) -> bool:
        """Return whether the next request has another token than the one that was refused.

        The token function is asked once in a while only, so this may be called often.
        """
        return self._watch.has_other()

    def after_fork_in_child(self) -> None:
        """Drop the parent's connections and locks; runs before anything else in the child."""
        self._sockets.after_fork_in_child()
        # Destroyed, the old pools would take locks that a thread of the parent may have held.
        self._inherited.append(self._local)
        self._reset()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("This client is closed.")

    def _attempt(
        self, request: Request, request_id: str, credentials: Credentials, deadline: float
    ) -> Response | Failure | ServerError:
        """Send a request once; errors are returned, free of the frames that have the token."""
        session = self._session()
        wire: Wire = self._local.wire
        wire.deadline, wire.has_connected = deadline, None
        wire.read_timeout = request.read_timeout or self._options.timeout[1]
        status = None
        try:
            raw, answered_by = self._follow(session, wire, request, request_id, credentials)
            status = raw.status_code
            try:
                body = read_body(raw.raw, self._options.max_response_size)
                raw.raw.release_conn()
            finally:
                # Without effect where it was read to its end.
                raw.close()
        except FAILURES as error:
            return Failure(error, has_connected=wire.has_connected, is_over=wire.is_over)
        except TooLargeError:
            most = self._options.max_response_size
            problem = f"is larger than the {most} bytes of max_response_size"
        except EncodingError as error:
            problem = str(error)
        else:
            return Response(
                request,
                raw.status_code,
                raw.headers,
                body,
                raw.headers.get("X-Request-ID", request_id),
                location=shown(target_of(raw)),
                answered_by=answered_by,
            )
        answer = "" if status is None else f" → {status}"
        return ServerError(
            f"{request.method} {request.path}{answer}: the answer {problem}.",
            method=request.method,
            path=request.path,
            status=status,
            request_id=request_id,
        )

    def _follow(
        self,
        session: "_Session",
        wire: Wire,
        request: Request,
        request_id: str,
        credentials: Credentials,
    ) -> tuple[requests.Response, str | None]:
        """Send a request and follow the redirects of a GET.

        Returns:
            The response, unread, and the origin of another server that it is from.
        """
        home = urlsplit(self._options.url)
        url, params, answered_by = self._options.url + request.path, request.params, None
        headers = {"X-Request-ID": request_id, **request.headers}
        connect = self._options.timeout[0]
        redirects = 0
        while True:
            timeout = wire.patience(connect), wire.patience(wire.read_timeout)
            if request.method == "GET" and not params:
                raw = session.get_again(url, headers, credentials, timeout)
            else:
                raw = session.request(
                    request.method,
                    url,
                    params=params,
                    data=request.body,
                    headers=headers,
                    auth=credentials,
                    timeout=timeout,
                    allow_redirects=False,
                    stream=True,
                )
            target = target_of(raw) if request.method == "GET" else None
            if target is None or not is_http(target) or redirects == self.MAX_REDIRECTS:
                return raw, answered_by
            # Unread, however large it is.
            raw.close()
            redirects += 1
            if not is_same_server(home, target):
                credentials = NO_CREDENTIALS
                answered_by = f"{target.scheme}://{target.netloc.rpartition('@')[2]}"
            url, params = target.geturl(), {}

    def _session(self) -> "_Session":
        session: _Session | None = getattr(self._local, "session", None)
        if session is None:
            wire = Wire(self._sockets, max_size=self._options.max_response_size)
            session = _Session()
            adapter = Adapter(wire)
            session.mount("http://", adapter)
            session.mount("https://", adapter)
            session.headers["User-Agent"] = _user_agent()
            session.headers["Accept"] = "application/json"
            session.headers["Accept-Encoding"] = ENCODING
            self._apply_environment(session)
            self._local.session, self._local.wire = session, wire
        return session

    def _apply_environment(self, session: requests.Session) -> None:
        """Read proxies and authorities from the environment, once for the session.

        By itself, requests does it for each request, which is a fifth of what a poll costs.
        """
        options = self._options
        settings = session.merge_environment_settings(
            options.url, dict(options.proxies or {}), None, options.verify, options.cert
        )
        session.trust_env = False
        session.proxies, session.verify = settings["proxies"], settings["verify"]
        session.cert = settings["cert"]

    def _secret_urls(self) -> list[str]:
        return [url for url in self._session().proxies.values() if url]


class _Session(requests.Session):
    """Session that leaves redirects alone; requests would read their bodies, however large."""

    _last: requests.PreparedRequest | None = None
    _last_url = ""

    def get_again(
        self,
        url: str,
        headers: Mapping[str, str | bytes],
        credentials: Credentials,
        timeout: tuple[float, float],
    ) -> requests.Response:
        """Send a GET as :meth:`request` does, but prepare it only if the last had another URL.

        To prepare them is a quarter of what polls cost.

        Args:
            url: the URL, with its query.
            headers: its headers, besides those of the session.
            credentials: its credentials.
            timeout: seconds to connect, and seconds of silence.
        """
        prepared = self._last
        # Whether a cookie still counts is decided for each request.
        if prepared is None or url != self._last_url or self.cookies:
            prepared = self.prepare_request(requests.Request("GET", url, auth=NO_CREDENTIALS))
            self._last, self._last_url = (None if self.cookies else prepared), url
        prepared = prepared.copy()
        # The types of requests know no headers of bytes here.
        for header in dict[str, Any](headers).items():
            requests.utils.check_header_validity(header)
            prepared.headers[header[0]] = header[1]
        return self.send(
            credentials(prepared),
            timeout=timeout,
            allow_redirects=False,
            stream=True,
            proxies=self.proxies,
            verify=self.verify,
            cert=self.cert,
        )

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return that there is none."""


def _user_agent() -> str:
    return f"configsvc-client/{own_version()} {requests.utils.default_user_agent()}"
