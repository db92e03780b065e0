"""Revocation of tokens while requests wait: they are answered at once."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from configsvc_server.app import Runtime
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


@pytest.mark.parametrize("feed", [False, True], ids=["snapshot", "feed"])
def test_a_request_that_waits_is_refused_when_its_token_is_revoked(
    server: RunningServer, runtime: Runtime, feed: bool
) -> None:
    assert runtime.first_token is not None
    admin = {"Authorization": f"Bearer {runtime.first_token.secret}"}
    base = f"{server.url}/api/v1"

    def post(path: str, body: object) -> dict[str, object]:
        response = requests.post(f"{base}{path}", json=body, headers=admin, timeout=10)
        assert response.status_code == 201, response.text
        return dict(response.json())

    post("/applications", {"name": "billing"})
    grant = {"role": "reader", "application": "billing"}
    token = post("/tokens", {"name": "app", "grants": [grant]})
    reader = {"Authorization": f"Bearer {token['token']}", "Prefer": "wait=60"}
    known = requests.get(f"{server.url}{PATH}", headers=reader, timeout=10).headers["ETag"]
    cursor = requests.get(
        f"{base}/changes", headers={"Authorization": reader["Authorization"]}, timeout=10
    ).json()["next"]
    begun = threading.Event()

    def wait() -> requests.Response:
        begun.set()
        if feed:
            return requests.get(
                f"{base}/changes", params={"after": cursor}, headers=reader, timeout=70
            )
        return requests.get(
            f"{server.url}{PATH}", headers={**reader, "If-None-Match": known}, timeout=70
        )

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(wait)
        begun.wait()
        # It need not wait yet: whenever the token goes, it is answered.
        gone = requests.delete(f"{base}/tokens/{token['id']}", headers=admin, timeout=10)
        assert gone.status_code == 204
        response = answer.result(timeout=30)

    assert response.status_code == 401, json.dumps(response.json())
