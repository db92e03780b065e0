"""Views whose token is refused: few requests, and a new token at once."""

import random
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from configsvc_client import AuthError, ConfigClient
from configsvc_client._http.poll_schedule import PollSchedule
from configsvc_client._http.token_watch import TokenWatch
from configsvc_client._view.inline_poller import InlinePoller
from configsvc_client._view.poller import Poller
from tests.client.conftest import MakeClient
from tests.client.http.test_polling import Clock
from tests.client.stub import Handler, StubServer, eventually, status


@pytest.fixture
def patient(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> MakeClient:
    """Makes clients that ask again after ten minutes, and look for another token soon."""
    monkeypatch.setattr(PollSchedule, "BACKOFF_BASE", 1200.0)
    monkeypatch.setattr(PollSchedule, "BACKOFF_CAP", 1200.0)
    monkeypatch.setattr(Poller, "LOOK", 0.01)
    monkeypatch.setattr(TokenWatch, "EVERY_CALL", 0.01)
    monkeypatch.setattr(TokenWatch, "EVERY_FILE", 0.01)
    return make_client


def only(token: str, code: int = 401) -> Callable[[Handler], None]:
    """Serve those who have a token, and refuse others."""

    def check(handler: Handler) -> None:
        if handler.headers["Authorization"] == f"Bearer {token}":
            handler.reply(200, handler.stub.body(), {"ETag": f'"{handler.stub.version}"'})
        else:
            handler.reply(code)

    return check


@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_token_is_not_sent_again_soon(
    stub: StubServer, patient: MakeClient, code: int
) -> None:
    calls = 0
    has_looked = threading.Event()

    def token() -> str:
        nonlocal calls
        calls += 1
        if calls == 20:
            has_looked.set()
        return "old"

    stub.answer(status(code))
    app = patient(stub.url, token=token, start_timeout=60).application("billing")
    for _ in range(5):
        with pytest.raises(AuthError):
            app["database"]
    assert has_looked.wait(20)
    assert len(stub.requests) == 1


@pytest.mark.parametrize("code", [401, 403])
def test_another_token_is_sent_at_once(stub: StubServer, patient: MakeClient, code: int) -> None:
    tokens = ["old"]
    stub.answer(only("new", code))
    app = patient(stub.url, token=lambda: tokens[0]).application("billing")
    with pytest.raises(AuthError):
        app["database"]
    tokens[0] = "new"
    eventually(lambda: not app.status().stale)
    assert app["database"]["pool_size"] == 10


def test_another_token_in_the_file_is_sent_at_once(
    stub: StubServer, patient: MakeClient, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text("old\n")
    stub.answer(only("new"))
    app = patient(stub.url, token_file=path).application("billing")
    with pytest.raises(AuthError):
        app["database"]
    (tmp_path / "next").write_text("new\n")
    (tmp_path / "next").replace(path)
    eventually(lambda: not app.status().stale)


def test_a_token_that_rotates_while_a_view_polls_is_replaced_without_a_failure(
    stub: StubServer, patient: MakeClient
) -> None:
    tokens = ["old"]
    stub.answer(only("old"))
    client = patient(stub.url, token=lambda: tokens[0], poll_interval=0.01)
    app = client.application("billing")
    app.wait_until_ready()
    tokens[0] = "new"
    stub.answer(only("new"))
    stub.publish(database={"pool_size": 20})
    eventually(lambda: app["database"]["pool_size"] == 20)
    assert app.status().last_error is None


def test_a_view_that_polls_amid_reads_sends_another_token_at_once(
    stub: StubServer, patient: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # uWSGI, as it lets no threads of Python run.
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(opt={}))
    monkeypatch.setattr(InlinePoller, "EVERY", 0.0)
    tokens = ["old"]
    stub.answer(only("new"))
    app = patient(stub.url, token=lambda: tokens[0]).application("billing")

    def reads() -> Any:
        try:
            return app["database"]["pool_size"]
        except AuthError:
            return None

    assert [reads() for _ in range(5)] == [None] * 5
    assert len(stub.requests) == 1
    tokens[0] = "new"
    eventually(lambda: reads() == 10)


def test_closing_ends_the_wait_for_another_token(stub: StubServer, patient: MakeClient) -> None:
    stub.answer(status(401))
    client: ConfigClient = patient(stub.url, token=lambda: "old")
    with pytest.raises(AuthError):
        client.application("billing")["database"]
    client.close()
    assert not [thread for thread in threading.enumerate() if "billing" in thread.name]


# Delays -----------------------------------------------------------------------------------


def delays(count: int, **failure: Any) -> list[float]:
    schedule = PollSchedule(interval=30, long_poll=30, clock=Clock(), chance=random.Random(7))
    return [
        schedule.failed(asked=0, took=0, may_be_cut=False, is_refusal=True, **failure)[0]
        for _ in range(count)
    ]


def test_the_delays_after_refusals_grow_up_to_a_bound() -> None:
    found = delays(20)
    for number, delay in enumerate(found, start=1):
        ceiling = min(60, 2**number)
        assert ceiling / 2 <= delay <= ceiling


def test_an_hour_of_refusals_is_few_requests() -> None:
    found = delays(1000)
    count = next(count for count in range(1000) if sum(found[:count]) > 3600)
    assert count <= 126


def test_a_refusal_may_ask_for_a_longer_delay() -> None:
    assert min(delays(5, retry_after=300)) >= 300
