"""Fixtures of the client's tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import responses

from configsvc_client import ConfigClient
from configsvc_client._http.poll_schedule import PollSchedule
from tests.client.stub import StubServer, stub_server

MakeClient = Callable[..., ConfigClient]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "TOKEN", "TOKEN_FILE", "CACHE_DIR", "ENVIRONMENT", "OVERRIDES"):
        monkeypatch.delenv(f"CONFIGSVC_{name}", raising=False)


@pytest.fixture
def stub() -> Iterator[StubServer]:
    """A server that can misbehave."""
    with stub_server() as server:
        yield server


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    """Answers requests instead of a server."""
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures are followed by a new attempt soon."""
    monkeypatch.setattr(PollSchedule, "BACKOFF_BASE", 0.01)
    monkeypatch.setattr(PollSchedule, "BACKOFF_CAP", 0.05)


@pytest.fixture
def make_client(impatient: None) -> Iterator[MakeClient]:
    """Makes clients that are closed after the test."""
    with ExitStack() as stack:

        def make(url: str, **options: Any) -> ConfigClient:
            return stack.enter_context(ConfigClient(url, **options))

        yield make
