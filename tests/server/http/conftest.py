"""Fixtures of the HTTP tests: an application and a configuration to start with."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import falcon.testing
import pytest

from configsvc_server.cache.waiters import ChangeSignal

Json: TypeAlias = dict[str, Any]


@pytest.fixture
def billing(api: falcon.testing.TestClient) -> Json:
    """An application."""
    result = api.simulate_post("/api/v1/applications", json={"name": "billing"})
    assert result.status_code == 201, result.text
    return dict(result.json)


@pytest.fixture
def database_config(api: falcon.testing.TestClient, billing: Json) -> Json:
    """A configuration of that application."""
    result = api.simulate_post(
        "/api/v1/configurations",
        json={
            "application_id": billing["id"],
            "name": "database",
            "config": {"host": "db", "pool": {"size": 10, "timeout": 1.0}},
        },
    )
    assert result.status_code == 201, result.text
    return dict(result.json)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Counts those who have begun to wait."""
    begun = threading.Semaphore(0)
    subscribe = ChangeSignal.subscribe

    def announce(self: ChangeSignal, key: object, wake: Callable[[], None]) -> Any:
        begun.release()
        return subscribe(self, key, wake)

    monkeypatch.setattr(ChangeSignal, "subscribe", announce)
    return begun


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for those who wait."""
    with ThreadPoolExecutor(20) as pool:
        yield pool


@pytest.fixture
def stages(api: falcon.testing.TestClient, billing: Json) -> Json:
    """The application with dev and staging, and a protected prod, beside default."""
    path = "/api/v1/applications/billing/environments"
    for body in (
        {"name": "dev"},
        {"name": "staging", "auto_release": False},
        {"name": "prod", "protected": True},
    ):
        result = api.simulate_post(path, json=body)
        assert result.status_code == 201, result.text
    return billing
