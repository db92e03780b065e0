"""Rate limits of requests that wait: each is counted once, however often it runs."""

import socket
import threading
from collections.abc import Iterator

import pytest
import requests

from configsvc_server.app import Runtime
from configsvc_server.cache.parking import Parking
from configsvc_server.settings import Settings
from tests.attacks.wire import connect, read_answer
from tests.support.servers import RunningServer, running_server

APPLICATION = "/api/v1/applications/billing"
SNAPSHOT = f"{APPLICATION}/environments/default/snapshot"
LIMIT = 20


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings with which a token may send a few requests an hour."""
    return settings.model_copy(update={"auth": "required", "rate_limit": f"{LIMIT}/hour"})


@pytest.fixture
def server(runtime: Runtime) -> Iterator[RunningServer]:
    """The application on a real port."""
    with running_server(runtime.app, on_stop=runtime.release_waiters) as server:
        yield server


@pytest.fixture
def parked(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Counts those who are put aside."""
    begun = threading.Semaphore(0)
    park = Parking.park

    def announce(self: Parking) -> None:
        park(self)
        begun.release()

    monkeypatch.setattr(Parking, "park", announce)
    return begun


@pytest.fixture
def team(server: RunningServer, runtime: Runtime) -> "Team":
    return Team(server, runtime)


class Team:
    """An admin, and a token that reads."""

    def __init__(self, server: RunningServer, runtime: Runtime) -> None:
        assert runtime.first_token is not None
        self._server = server
        self._admin = {"Authorization": f"Bearer {runtime.first_token.secret}"}
        self._post("/api/v1/applications", {"name": "billing"})
        body = {"name": "app", "grants": [{"role": "reader", "application": "billing"}]}
        self._reader = {"Authorization": f"Bearer {self._post('/api/v1/tokens', body)['token']}"}

    def read(self) -> requests.Response:
        return requests.get(f"{self._server.url}{SNAPSHOT}", headers=self._reader, timeout=30)

    def change(self) -> None:
        self._post(f"{APPLICATION}/configurations", {"name": "database", "config": {}})

    def begin_wait(self, sock: socket.socket, etag: str) -> None:
        headers = {"Host": "x", "Prefer": "wait=60", "If-None-Match": etag, **self._reader}
        lines = [f"GET {SNAPSHOT} HTTP/1.1", *(": ".join(item) for item in headers.items())]
        sock.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode())

    def _post(self, path: str, body: object) -> dict[str, object]:
        response = requests.post(
            f"{self._server.url}{path}", json=body, headers=self._admin, timeout=30
        )
        assert response.status_code == 201, response.text
        return dict(response.json())


def test_a_request_that_waits_is_counted_once(
    server: RunningServer, team: Team, parked: threading.Semaphore
) -> None:
    first = team.read()
    with connect(server) as sock:
        team.begin_wait(sock, first.headers["ETag"])
        assert parked.acquire(timeout=60)
        team.change()
        answer = read_answer(sock)

    assert answer.status == 200
    left = [
        first.headers["RateLimit-Remaining"],
        answer.headers["ratelimit-remaining"],
        team.read().headers["RateLimit-Remaining"],
    ]
    assert left == [str(LIMIT - sent) for sent in (1, 2, 3)]


def test_a_request_that_waits_is_answered_though_the_limit_was_reached_meanwhile(
    server: RunningServer, team: Team, parked: threading.Semaphore
) -> None:
    etag = team.read().headers["ETag"]
    with connect(server) as sock:
        team.begin_wait(sock, etag)
        assert parked.acquire(timeout=60)
        statuses = [team.read().status_code for _ in range(LIMIT)]
        team.change()
        answer = read_answer(sock)

    assert statuses[-1] == 429
    assert (answer.status, answer.headers["ratelimit-remaining"]) == (200, "0")
