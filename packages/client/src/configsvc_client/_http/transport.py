"""HTTP transport over requests, with one session per thread and a list of open sockets.

``requests.Session`` is not promised to be safe between threads, so each thread has its own.
The list of sockets is for two occasions on which nobody else can reach them: to end a long
poll of another thread at once, and to close in a forked child what is the parent's.
"""

import contextlib
import os
import socket
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NewConnectionError,
    ReadTimeoutError,
)
from urllib3.poolmanager import PoolManager
from urllib3.util import Retry

from configsvc_client._http.types import Request, Response, retry_after
from configsvc_client.errors import ClosedError, TransportError
from configsvc_client.options import Options, Token

__all__ = ["HttpTransport"]

_POOL_SIZE: Final = 4


class HttpTransport:
    """Sender of requests to one server, safe to share between threads and with forked children."""

    def __init__(self, options: Options, *, retries: int) -> None:
        """Create a transport without connecting.

        Args:
            options: the settings of the client.
            retries: attempts after the first, for requests that may be repeated safely.
        """
        self._options = options
        self._retries = retries
        self._closed = False
        self._inherited: list[threading.local] = []
        self._reset()

    def _reset(self) -> None:
        self._local = threading.local()
        self._sockets = _Sockets()

    def send(self, request: Request) -> Response:
        """Send a request and return the response, whatever its status.

        Raises:
            TransportError: no response came.
            ClosedError: :meth:`close` was called before.
        """
        if self._closed:
            raise ClosedError("This client is closed.")
        connect, read = self._options.timeout
        request_id = os.urandom(12).hex()
        try:
            response = self._session().request(
                request.method,
                self._options.url + request.path,
                params=request.params,
                data=request.body,
                headers={"X-Request-ID": request_id, **request.headers},
                timeout=(connect, request.read_timeout or read),
                allow_redirects=request.method == "GET",
            )
        except requests.RequestException as error:
            message = f"{request.method} {self._options.url}{request.path}: {_reason(error)}"
            raise TransportError(
                message, method=request.method, path=request.path, request_id=request_id
            ) from error
        return Response(
            request,
            response.status_code,
            response.headers,
            response.content,
            response.headers.get("X-Request-ID", request_id),
            retried=bool(response.raw.retries and response.raw.retries.history),
        )

    def close(self) -> None:
        """Shut down every connection, also one on which another thread waits."""
        self._closed = True
        self._sockets.shut_down()

    def after_fork_in_child(self) -> None:
        """Drop the parent's connections and locks; runs before anything else in the child."""
        self._sockets.after_fork_in_child()
        # Destroyed, the old pools would take locks that a thread of the parent may have held.
        self._inherited.append(self._local)
        self._reset()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            adapter = _Adapter(self._sockets, _retry(self._retries))
            session.mount("http://", adapter)
            session.mount("https://", adapter)
            session.headers["User-Agent"] = _user_agent()
            session.headers["Accept"] = "application/json"
            self._apply_environment(session)
            if self._options.token is not None:
                session.auth = _BearerAuth(self._options.token)
            self._local.session = session
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


class _BearerAuth(AuthBase):
    """Bearer token as an auth object, since requests lets ``.netrc`` win over a header."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = self._token() if callable(self._token) else self._token
        request.headers["Authorization"] = f"Bearer {token}"
        return request


class _Sockets:
    """Open sockets of one transport, in all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._is_shut_down = False

    def add(self, sock: socket.socket) -> None:
        with self._lock:
            self._open.add(sock)
            if self._is_shut_down:
                _shut_down(sock)

    def shut_down(self) -> None:
        """Shut down all sockets, which wakes the threads that read; later ones at once."""
        with self._lock:
            self._is_shut_down = True
            for sock in list(self._open):
                _shut_down(sock)

    def after_fork_in_child(self) -> None:
        """Close this process's descriptors; the connections stay open in the parent."""
        # Not under the lock: the parent may have held it when it forked.
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                descriptor = sock.detach()
                if descriptor >= 0:
                    os.close(descriptor)


class _Adapter(HTTPAdapter):
    """Adapter of requests that adds the sockets of its connections to a list."""

    def __init__(self, sockets: _Sockets, retry: Retry) -> None:
        self._pools = _pool_classes(sockets.add)
        super().__init__(pool_connections=_POOL_SIZE, pool_maxsize=_POOL_SIZE, max_retries=retry)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pool_classes(remember: Callable[[socket.socket], None]) -> dict[str, Any]:
    """Return urllib3's pools with connections that pass their sockets to ``remember``."""

    class Connection(HTTPConnectionPool.ConnectionCls):  # type: ignore[misc,valid-type]
        def connect(self) -> None:
            super().connect()
            remember(self.sock)

    class SecureConnection(HTTPSConnectionPool.ConnectionCls):  # type: ignore[misc,valid-type]
        def connect(self) -> None:
            super().connect()
            remember(self.sock)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}


class _PatientRetry(Retry):
    """Retry policy that obeys a ``Retry-After`` unless it is too long to wait for."""

    PATIENCE: Final = 15.0
    """Seconds; a response that asks for more is returned to the caller."""

    def increment(self, *args: Any, **kwargs: Any) -> "_PatientRetry":
        response = kwargs.get("response")
        wait = retry_after(response.headers) if response is not None else None
        if wait is not None and wait > self.PATIENCE:
            raise MaxRetryError(kwargs["_pool"], kwargs.get("url") or "", None)
        return super().increment(*args, **kwargs)

    def get_retry_after(self, response: Any) -> float | None:
        # urllib3 would sleep until a date, however far away, and raise on what it can't read.
        return retry_after(response.headers)


def _retry(attempts: int) -> Retry:
    return _PatientRetry(
        total=attempts,
        # Those that do the same when done twice; a POST or PATCH that may have arrived is
        # repeated only by the caller.
        allowed_methods={"GET", "HEAD", "OPTIONS", "PUT", "DELETE"},
        status_forcelist={429, 502, 503, 504},
        backoff_factor=0.2,
        backoff_max=5,
        backoff_jitter=0.2,
        raise_on_status=False,
    )


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # The method of SSLSocket also takes its state away from the thread that reads.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _user_agent() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - not at import, which is to be quick

    return f"configsvc-client/{version('configsvc-client')} {requests.utils.default_user_agent()}"


def _reason(error: requests.RequestException) -> str:
    """Return in a few words why no response came; urllib3's own message has many layers."""
    chain: list[BaseException] = [error]
    while (inner := _inner(chain[-1])) is not None:
        chain.append(inner)
    for cause in chain:
        # That no connection could be made is in urllib3 a kind of timeout.
        if isinstance(cause, ConnectTimeoutError) and not isinstance(cause, NewConnectionError):
            return "no connection within the timeout"
        if isinstance(cause, ReadTimeoutError):
            return "no answer within the timeout"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the answer was cut short"
    if isinstance(error, requests.exceptions.SSLError):
        what = "the TLS connection failed"
    elif isinstance(error, requests.exceptions.ProxyError):
        what = "the proxy can't be reached"
    else:
        what = "the connection failed"
    return f"{what} ({chain[-1]})"


def _inner(error: BaseException) -> BaseException | None:
    for candidate in (getattr(error, "reason", None), error.__cause__, *error.args[:1]):
        if isinstance(candidate, BaseException) and candidate is not error:
            return candidate
    return None
