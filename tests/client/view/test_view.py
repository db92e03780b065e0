"""Views: what they do by themselves, and their representation; the rest is in ``contract``."""

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest

from configsvc_client import (
    Change,
    ClosedError,
    ConfigView,
    TransportError,
)
from configsvc_client.testing import FakeConfigClient
from tests.client.conftest import MakeClient
from tests.client.stub import StubServer, eventually


@pytest.fixture
def client() -> FakeConfigClient:
    return FakeConfigClient(
        {"billing": {"database": {"pool_size": 10, "hosts": ["a", "b"]}, "limits": {"n": 1}}}
    )


@pytest.fixture
def app(client: FakeConfigClient) -> ConfigView:
    return client.application("billing")


def test_nothing_starts_before_it_is_needed(stub: StubServer, make_client: MakeClient) -> None:
    app = make_client(stub.url).application("billing")
    app.status()
    repr(app)
    dir(app)
    app._ipython_key_completions_()
    assert not any(t.name == "configsvc billing/default" for t in threading.enumerate())
    assert not stub.requests


def test_a_view_shows_what_a_person_wants_to_know(
    client: FakeConfigClient, app: ConfigView
) -> None:
    assert repr(app) == "<ConfigView billing/default: not started; the first use starts it>"
    app.wait_until_ready()
    assert repr(app) == "<ConfigView billing/default: live, 2 configurations, confirmed 0 s ago>"
    client.fail(TransportError("the server is away"))
    assert repr(app).startswith("<ConfigView billing/default: stale, 2 configurations")
    assert "last error: the server is away" in repr(app.status())
    app.close()
    assert repr(app).startswith("<ConfigView billing/default: closed")


def test_status_is_shown_in_a_line(app: ConfigView) -> None:
    app.wait_until_ready()
    version = app.status().version or ""
    assert repr(app.status()).startswith(f"live: version {version[:8]}, confirmed 0 s ago")


def test_completion_knows_the_names_and_the_methods(app: ConfigView) -> None:
    app.wait_until_ready()
    assert app._ipython_key_completions_() == ["database", "limits"]
    assert "on_change" in dir(app)
    assert not any(name.startswith("_") for name in dir(app))


def test_what_is_elsewhere_is_asked_for_once(client: FakeConfigClient, app: ConfigView) -> None:
    client.environments.create("billing", name="prod")
    app.wait_until_ready()
    requests = len(client.requests)
    app.diff(environment="prod")
    assert len(client.requests) == requests + 1


def test_a_past_moment_is_asked_for_in_utc(client: FakeConfigClient, app: ConfigView) -> None:
    before = client.configurations.find("billing", "limits").updated_at
    app.at(before.astimezone(timezone(timedelta(hours=2))))
    sent = next(request.params for request in client.requests if "at" in request.params)
    assert sent == {"at": before.strftime("%Y-%m-%dT%H:%M:%SZ")}


def test_a_moment_without_a_time_zone_is_refused(app: ConfigView) -> None:
    moment = datetime(2026, 11, 24)  # noqa: DTZ001 - which is the point
    with pytest.raises(ValueError, match="give it a time zone"):
        app.at(moment)
    with pytest.raises(ValueError, match="give it a time zone"):
        app.diff(at=moment)


def test_a_diff_has_one_other_side(app: ConfigView) -> None:
    with pytest.raises(ValueError, match="either"):
        app.diff(app.snapshot(), environment="prod")


def test_refresh_tells_whether_anything_changed(stub: StubServer, make_client: MakeClient) -> None:
    stub.waits = False
    app = make_client(stub.url).application("billing")
    app.wait_until_ready()
    eventually(lambda: stub.polls >= 2)
    assert not app.refresh()
    stub.publish(database={"pool_size": 20})
    assert app.refresh()
    assert app["database"]["pool_size"] == 20
    assert stub.requests[-1][2]["Cache-Control"] == "no-cache"


def test_a_refresh_returns_when_bound_objects_have_followed(
    stub: StubServer, make_client: MakeClient
) -> None:
    entered, release = threading.Event(), threading.Event()

    @dataclass
    class Slow:
        pool_size: int

        def __post_init__(self) -> None:
            if self.pool_size > 10:
                entered.set()
                release.wait(10)

    stub.waits = False
    app = make_client(stub.url).application("billing")
    app.wait_until_ready()
    bound = app.bind("database", Slow)
    stub.publish(database={"pool_size": 20})
    first = threading.Thread(target=app.refresh)
    first.start()
    assert entered.wait(10)  # the snapshot is in place, and bound objects are about to follow
    threading.Timer(0.05, release.set).start()

    app.refresh()

    assert bound.value.pool_size == 20
    first.join(10)


def test_a_failed_refresh_is_raised_and_leaves_what_is_there(
    client: FakeConfigClient, app: ConfigView
) -> None:
    app.wait_until_ready()
    client.fail(TransportError("away"))
    with pytest.raises(TransportError, match="away"):
        app.refresh()
    assert app["limits"]["n"] == 1


def test_a_view_closed_before_it_was_used_says_so(app: ConfigView) -> None:
    app.close()
    with pytest.raises(ClosedError, match="'billing'"):
        app["database"]


def test_a_failing_callback_is_logged_once_and_stops_nobody(
    client: FakeConfigClient, app: ConfigView, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Change] = []

    def fail(change: Change) -> None:
        raise SystemExit("stop") if change.configurations == ("database",) else ValueError("no")

    app.on_change(fail)
    app.on_change(told.append)
    client.set("billing", "limits", {"n": 2})
    client.set("billing", "database", {"pool_size": 20})
    assert len(told) == 2
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "<Subscription to everything> failed" in caplog.text
