"""Callbacks of views: what they raise, when they are called, and when no more."""

import asyncio
import logging
import threading
from typing import Any

import pytest

from configsvc_client import Change, ConfigView, Status, Subscription, TransportError
from configsvc_client._view.synchronizer import Synchronizer
from configsvc_client.testing import FakeConfigClient
from tests.client.conftest import MakeClient
from tests.client.stub import StubServer, eventually, status


class NoException(BaseException):
    """As gevent's timeouts are."""


@pytest.fixture
def client() -> FakeConfigClient:
    return FakeConfigClient({"billing": {"database": {"pool_size": 10}, "limits": {"n": 1}}})


@pytest.fixture
def app(client: FakeConfigClient) -> ConfigView:
    return client.application("billing")


@pytest.mark.parametrize("kind", [asyncio.CancelledError, NoException, SystemExit, KeyError])
def test_whatever_a_callback_raises_polling_goes_on(
    stub: StubServer, make_client: MakeClient, kind: type[BaseException]
) -> None:
    app = make_client(stub.url).application("billing")
    app.wait_until_ready()
    told: list[int] = []

    def fail(change: Change) -> None:
        told.append(change.new)
        raise kind

    app.on_change(fail, "database.pool_size")
    for size in (20, 30):
        stub.publish(database={"pool_size": size})
        eventually(lambda size=size: size in told)  # type: ignore[misc]
    assert app["database"]["pool_size"] == 30


@pytest.mark.parametrize("kind", [asyncio.CancelledError, NoException, SystemExit])
def test_whatever_a_validator_raises_polling_goes_on(
    stub: StubServer, make_client: MakeClient, kind: type[BaseException]
) -> None:
    app = make_client(stub.url).application("billing")

    def convert(value: Any) -> int:
        if value["pool_size"] == 20:
            raise kind
        return int(value["pool_size"])

    pool = app.bind("database", converter=convert)
    other = app.bind("database", dict)
    told: list[int] = []
    app.on_change(lambda change: told.append(change.new), "database.pool_size")
    stub.publish(database={"pool_size": 20})
    eventually(lambda: told == [20])
    assert (pool.value, other.value) == (10, {"pool_size": 20})
    assert kind.__name__ in app.status().rejected["database"]
    stub.publish(database={"pool_size": 30})
    eventually(lambda: pool.value == 30)
    assert pool.error is None


def test_an_interrupt_reaches_the_main_thread_that_called(
    client: FakeConfigClient, app: ConfigView
) -> None:
    def interrupt(change: Change) -> None:
        raise KeyboardInterrupt

    app.wait_until_ready()
    app.on_change(interrupt)
    with pytest.raises(KeyboardInterrupt):
        client.set("billing", "limits", {"n": 2})


def test_what_was_missed_is_made_up_for_when_nothing_has_changed_since(
    stub: StubServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot is in place then, and the server answers 304 from there on."""
    follow, failures = Synchronizer.follow, [MemoryError()]

    def fail_once(self: Synchronizer) -> None:
        if self._store.generation == 2 and failures:
            raise failures.pop()
        follow(self)

    monkeypatch.setattr(Synchronizer, "follow", fail_once)
    app = make_client(stub.url, poll_interval=0.05, long_poll=0).application("billing")
    told: list[Any] = []
    app.wait_until_ready()
    app.on_change(lambda change: told.append(change.new), "database.pool_size")
    stub.publish(database={"pool_size": 20})
    eventually(lambda: told == [20])
    assert not failures


def test_an_unexpected_error_is_logged_with_its_traceback_once(
    stub: StubServer,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(self: Synchronizer) -> None:
        raise ZeroDivisionError

    app = make_client(stub.url, poll_interval=0.01, long_poll=0).application("billing")
    app.wait_until_ready()
    monkeypatch.setattr(Synchronizer, "follow", fail)
    with caplog.at_level(logging.INFO, "configsvc_client"):
        before = app.status().polls
        eventually(lambda: app.status().polls > before + 3)
    assert sum(record.exc_info is not None for record in caplog.records) == 1
    assert "polling billing/default" in caplog.text


def test_a_subscription_cancelled_in_the_same_round_is_not_called(
    client: FakeConfigClient, app: ConfigView
) -> None:
    later: list[Subscription] = []
    told: list[Change] = []
    app.on_change(lambda _: later[0].cancel())
    later.append(app.on_change(told.append))
    client.set("billing", "limits", {"n": 2})
    assert told == []


def test_a_callback_can_be_called_now(client: FakeConfigClient, app: ConfigView) -> None:
    told: list[tuple[object, object]] = []
    app.on_change(lambda c: told.append((c.old, c.new)), "database.pool_size", call_now=True)
    assert told == [(None, 10)]
    client.set("billing", "database", {"pool_size": 20})
    assert told == [(None, 10), (10, 20)]


def test_a_callback_for_everything_can_be_called_now(app: ConfigView) -> None:
    told: list[Change] = []
    app.on_change(told.append, call_now=True)
    [change] = told
    assert change.configurations == ("database", "limits")
    assert (change.old, change.new) == (None, app.snapshot())


def test_a_callback_is_told_of_nothing_that_happened_before(
    client: FakeConfigClient, app: ConfigView
) -> None:
    app.wait_until_ready()
    client.set("billing", "limits", {"n": 2})
    told: list[Change] = []
    app.on_change(told.append)
    client.set("billing", "database", {"pool_size": 20})
    assert [change.configurations for change in told] == [("database",)]


def test_a_change_has_no_values_in_its_representation(
    client: FakeConfigClient, app: ConfigView
) -> None:
    told: list[Change] = []
    app.on_change(told.append, "database")
    client.set("billing", "database", {"password": "hunter2"})
    assert repr(told[0]) == "<Change of 'database': database>"


class TestStatus:
    def test_is_told_when_it_becomes_another(
        self, client: FakeConfigClient, app: ConfigView
    ) -> None:
        told: list[tuple[str, str]] = []
        client.on_status(lambda status: told.append((status.application, status.state)))
        app.wait_until_ready()
        client.fail(TransportError("away"))
        client.fail(TransportError("still away"))
        client.fail(None)
        app.close()
        states = ["live", "stale", "live", "closed"]
        assert told == [("billing", state) for state in states]

    def test_is_told_of_a_new_version(self, client: FakeConfigClient, app: ConfigView) -> None:
        app.wait_until_ready()
        told: list[Status] = []
        client.on_status(told.append)
        client.set("billing", "limits", {"n": 2})
        assert [status.version for status in told] == [app.status().version]

    def test_is_told_to_all_whatever_one_raises(
        self, client: FakeConfigClient, app: ConfigView
    ) -> None:
        told: list[Status] = []

        def fail(status: Status) -> None:
            raise ValueError

        client.on_status(fail)
        client.on_status(told.append)
        app.wait_until_ready()
        assert len(told) == 1

    def test_is_not_told_after_a_cancellation_in_the_same_round(
        self, client: FakeConfigClient, app: ConfigView
    ) -> None:
        told: list[Status] = []
        client.on_status(lambda _: later.cancel())
        later = client.on_status(told.append)
        app.wait_until_ready()
        assert told == []

    def test_is_not_told_after_a_cancellation(
        self, client: FakeConfigClient, app: ConfigView
    ) -> None:
        told: list[Status] = []
        client.on_status(told.append).cancel()
        app.wait_until_ready()
        assert told == []


def test_the_mode_is_true_during_the_first_long_poll(
    stub: StubServer, make_client: MakeClient
) -> None:
    app = make_client(stub.url).application("billing")
    app.wait_until_ready()
    eventually(lambda: "Prefer" in stub.requests[-1][2])
    assert app.status().mode == "long poll"


def test_a_log_line_names_the_view_and_claims_no_snapshot_that_is_not_there(
    stub: StubServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    stub.answer(status(500))
    app = make_client(stub.url, start_timeout=0.1).application("billing", environment="prod")
    app.on_change(print)
    eventually(lambda: app.status().failures)
    eventually(lambda: caplog.records)
    assert caplog.records[0].message.startswith(
        "Polling billing/prod failed; there is no configuration yet. "
    )


def test_a_stored_error_is_raised_as_another_object_each_time(
    stub: StubServer, make_client: MakeClient
) -> None:
    stub.answer(status(404))
    app = make_client(stub.url).application("billing")
    raised: list[Exception] = []
    for _ in range(3):
        with pytest.raises(Exception, match="404") as caught:
            app["database"]
        raised.append(caught.value)
    assert len({id(error) for error in raised}) == 3
    stored = app.status().last_error
    assert stored is not None
    assert stored.__traceback__ is None


def test_clients_close_in_parallel(stub: StubServer, make_client: MakeClient) -> None:
    """Each callback hangs until all have been told to end."""
    release, inside = threading.Event(), threading.Semaphore(0)

    def hang(change: Change) -> None:
        inside.release()
        release.wait(30)

    client = make_client(stub.url)
    names = [f"a{n}" for n in range(20)]
    for name in names:
        app = client.application(name)
        app.wait_until_ready()
        app.on_change(hang)
    stub.publish(database={"pool_size": 20})
    for _ in names:
        assert inside.acquire(timeout=30)
    closing = threading.Thread(target=client.close)
    closing.start()
    # Twenty waits one after the other would take ten seconds.
    closing.join(5)
    assert not closing.is_alive()
    release.set()
