"""Outages: through each of them both faces serve the last good snapshot, and recover."""

import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from configsvc_client import AuthError, NotFoundError, ServerError, TransportError
from tests.client.outages.faces import FACES, Face
from tests.client.outages.front import (
    Front,
    FrozenServer,
    answer_endlessly,
    answer_with,
    reset,
)
from tests.client.stub import (
    Behaviour,
    Handler,
    StubServer,
    cut_body,
    drop,
    eventually,
    hang,
    serve,
    status,
)

pytestmark = [pytest.mark.usefixtures("impatient"), pytest.mark.slow]

HOST = "config.test"
OPTIONS: dict[str, Any] = {
    "timeout": (0.5, 0.5),
    "total_timeout": 1.0,
    "long_poll": 1.0,
    "poll_interval": 0.1,
    "max_response_size": 1_000_000,
}


class Site:
    """A server with a front, and what an outage may do to them."""

    def __init__(self, stub: StubServer, authorities: dict[str, ssl.SSLContext]) -> None:
        self.stub = stub
        self.authorities = authorities
        self.front = Front(stub)
        self.is_known = True
        self.stack = ExitStack()
        self.over = threading.Event()

    def http(self, behaviour: Behaviour) -> None:
        self.stub.answer(behaviour)

    def mend(self) -> None:
        self.over.set()
        self.stack.close()
        self.is_known = True
        if self.front.context is not None:
            self.front.context = self.authorities["trusted"]
        self.stub.answer(serve)
        self.front.mend()


def http(behaviour: Behaviour) -> Callable[[Site], None]:
    return lambda site: site.http(behaviour)


def redirect_loop(handler: Handler) -> None:
    handler.reply(302, headers={"Location": handler.path})


def redirect_to_a_login_page(handler: Handler) -> None:
    if "login" in handler.path:
        handler.reply(200, b"<html>Log in</html>", {"Content-Type": "text/html"})
    else:
        handler.reply(302, headers={"Location": "/login"})


def gzip_bomb(handler: Handler) -> None:
    bomb = gzip.compress(b" " * 300_000_000, 1)
    handler.reply(200, bomb, {"ETag": '"bomb"', "Content-Encoding": "gzip"})


def freeze(site: Site) -> None:
    """Pass connections to a process that SIGSTOP has stopped."""
    port = site.stack.enter_context(FrozenServer())

    def connect(sock: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port)):
            site.over.wait()

    site.front.break_down(connect)


def forget_the_name(site: Site) -> None:
    site.is_known = False
    site.front.end_connections()


def distrust(site: Site) -> None:
    site.front.context = site.authorities["other"]
    site.front.end_connections()


OK = b"HTTP/1.1 200 OK\r\n"
OUTAGES: dict[str, tuple[Callable[[Site], None], type[Exception]]] = {
    "refused": (lambda site: site.front.refuse(), TransportError),
    "reset": (lambda site: site.front.break_down(reset), TransportError),
    "dropped": (http(drop), TransportError),
    "hang": (http(hang), TransportError),
    "SIGSTOP": (freeze, TransportError),
    "drip": (
        lambda site: site.front.break_down(
            answer_endlessly(OK + b"Content-Length: 100000\r\n\r\n", b" ", site.over)
        ),
        TransportError,
    ),
    "cut body": (http(cut_body), TransportError),
    "cut headers": (lambda site: site.front.break_down(answer_with(OK + b"ETag:")), TransportError),
    "endless headers": (
        lambda site: site.front.break_down(answer_endlessly(OK, b"X: " + b"y" * 1000 + b"\r\n")),
        TransportError,
    ),
    "garbage": (lambda site: site.front.break_down(answer_with(b"\x00\xff" * 999)), TransportError),
    "HTML": (http(status(200, body=b"<html>Log in</html>")), ServerError),
    "no snapshot": (http(status(200, body=b"[]")), ServerError),
    "redirect loop": (http(redirect_loop), ServerError),
    "login page": (http(redirect_to_a_login_page), ServerError),
    "gzip bomb": (http(gzip_bomb), ServerError),
    "endless body": (
        lambda site: site.front.break_down(
            answer_endlessly(OK + b"Content-Length: 300000000\r\n\r\n", b" " * 65536)
        ),
        ServerError,
    ),
    "401": (http(status(401)), AuthError),
    "403": (http(status(403)), AuthError),
    "404": (http(status(404)), NotFoundError),
    "429": (http(status(429, {"Retry-After": "0"})), ServerError),
    "500": (http(status(500)), ServerError),
    "503": (http(status(503, {"Retry-After": "0"})), ServerError),
    "DNS": (forget_the_name, TransportError),
    "TLS": (distrust, TransportError),
}


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, ssl.SSLContext]]:
    """A file with a trusted authority, and contexts of servers of that and of another one."""
    file = tmp_path_factory.mktemp("tls") / "authority.pem"
    contexts = {}
    for name in ("trusted", "other"):
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(HOST).configure_cert(context)
        contexts[name] = context
        if name == "trusted":
            authority.cert_pem.write_to_path(str(file))
    return file, contexts


@pytest.fixture
def site(
    stub: StubServer,
    authorities: tuple[Path, dict[str, ssl.SSLContext]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    """A server under a name that can be forgotten."""
    site = Site(stub, authorities[1])
    resolve = socket.getaddrinfo

    def resolve_here(host: Any, *arguments: Any, **options: Any) -> Any:
        if host != HOST:
            return resolve(host, *arguments, **options)
        if not site.is_known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_here)
    yield site
    site.over.set()
    site.stack.close()
    site.front.close()


@pytest.mark.parametrize("make_face", FACES.values(), ids=FACES)
@pytest.mark.parametrize("outage", OUTAGES)
def test_the_last_good_snapshot_serves_through_it(
    site: Site,
    authorities: tuple[Path, dict[str, ssl.SSLContext]],
    make_face: Callable[..., Face],
    outage: str,
) -> None:
    begin, error = OUTAGES[outage]
    if outage == "TLS":
        site.front.context = site.authorities["trusted"]
    scheme = "https" if site.front.context else "http"
    verify = {"verify": str(authorities[0])} if site.front.context else {}
    face = make_face(f"{scheme}://{HOST}:{site.front.port}", **OPTIONS, **verify)
    try:
        face.ready()

        begin(site)
        eventually(lambda: face.status().stale)
        # The first request may be cut by what begins the outage.
        eventually(lambda: isinstance(face.status().last_error, error))
        before = face.status().polls
        eventually(lambda: face.status().polls > before + 1)
        assert (face.pool_size(), face.status().state) == (10, "stale")

        site.stub.publish(database={"pool_size": 20})
        site.mend()
        eventually(lambda: face.pool_size() == 20)
        assert face.status().state == "live"
    finally:
        face.close()
