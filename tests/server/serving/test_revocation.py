"""Revocation of tokens while requests wait: they are answered at once."""

import threading
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from configsvc_server.app import Runtime
from configsvc_server.cache.waiters import ChangeSignal
from configsvc_server.settings import Settings
from tests.support.servers import RunningServer, running_server

PATH = "/api/v1/applications/billing/environments/default/snapshot"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings with which nobody may do anything without a token."""
    return settings.model_copy(update={"auth": "required"})


@pytest.fixture
def server(runtime: Runtime) -> Iterator[RunningServer]:
    """The application on a real port."""
    with running_server(runtime.app, on_stop=runtime.release_waiters) as server:
        yield server


@pytest.fixture
def subscribing(monkeypatch: pytest.MonkeyPatch) -> Iterator["Subscribing"]:
    """Stops those who are about to wait."""
    stop = Subscribing()
    subscribe = ChangeSignal.subscribe

    def hold(self: ChangeSignal, key: Hashable, wake: Callable[[], None]) -> object:
        stop.reached.set()
        assert stop.released.wait(60)
        return subscribe(self, key, wake)

    monkeypatch.setattr(ChangeSignal, "subscribe", hold)
    yield stop
    stop.released.set()


class Subscribing:
    """The moment between the authentication of a request and its wait."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.released = threading.Event()


class Team:
    """An admin, a token that reads, and a request of that token which waits."""

    def __init__(self, server: RunningServer, runtime: Runtime) -> None:
        assert runtime.first_token is not None
        self._admin = {"Authorization": f"Bearer {runtime.first_token.secret}"}
        self._base = f"{server.url}/api/v1"
        self._snapshot = f"{server.url}{PATH}"
        self._post("/applications", {"name": "billing"})
        grant = {"role": "reader", "application": "billing"}
        token = self._post("/tokens", {"name": "app", "grants": [grant]})
        self._token_id = token["id"]
        self._reader = {"Authorization": f"Bearer {token['token']}"}
        self._etag = self._get(self._snapshot).headers["ETag"]
        self._cursor = self._get(f"{self._base}/changes").json()["next"]

    def wait(self, feed: bool) -> requests.Response:
        if feed:
            return self._get(f"{self._base}/changes?after={self._cursor}", Prefer="wait=60")
        return self._get(self._snapshot, Prefer="wait=60", **{"If-None-Match": self._etag})

    def revoke(self) -> None:
        gone = requests.delete(
            f"{self._base}/tokens/{self._token_id}", headers=self._admin, timeout=10
        )
        assert gone.status_code == 204

    def _get(self, url: str, **headers: str) -> requests.Response:
        return requests.get(url, headers={**self._reader, **headers}, timeout=70)

    def _post(self, path: str, body: object) -> dict[str, object]:
        response = requests.post(f"{self._base}{path}", json=body, headers=self._admin, timeout=10)
        assert response.status_code == 201, response.text
        return dict(response.json())


@pytest.mark.parametrize("feed", [False, True], ids=["snapshot", "feed"])
def test_a_request_that_waits_is_refused_when_its_token_is_revoked(
    server: RunningServer, runtime: Runtime, feed: bool
) -> None:
    team = Team(server, runtime)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(team.wait, feed)
        # It need not wait yet: whenever the token goes, it is answered.
        team.revoke()

        assert answer.result(timeout=30).status_code == 401


@pytest.mark.parametrize("feed", [False, True], ids=["snapshot", "feed"])
def test_a_request_is_refused_when_its_token_is_revoked_just_before_it_waits(
    server: RunningServer, runtime: Runtime, subscribing: Subscribing, feed: bool
) -> None:
    team = Team(server, runtime)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(team.wait, feed)
        assert subscribing.reached.wait(30)
        team.revoke()
        subscribing.released.set()

        assert answer.result(timeout=30).status_code == 401
