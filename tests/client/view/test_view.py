"""The live view, over a server in memory."""

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

import pydantic
import pytest

from configsvc_client import (
    BindError,
    Change,
    ClosedError,
    ConfigView,
    NotFoundError,
    TransportError,
)
from configsvc_client.testing import FakeConfigClient
from tests.client.conftest import MakeClient
from tests.client.stub import StubServer, eventually


@dataclass(frozen=True)
class Database:
    pool_size: int
    host: str = "localhost"

    def __post_init__(self) -> None:
        if self.pool_size < 1:
            raise ValueError("pool_size must be positive")


class DatabaseDict(TypedDict):
    pool_size: int


class DatabaseModel(pydantic.BaseModel):
    pool_size: int


@pytest.fixture
def client() -> FakeConfigClient:
    return FakeConfigClient(
        {"billing": {"database": {"pool_size": 10, "hosts": ["a", "b"]}, "limits": {"n": 1}}}
    )


@pytest.fixture
def app(client: FakeConfigClient) -> ConfigView:
    return client.application("billing")


def test_a_view_is_a_mapping(app: ConfigView) -> None:
    assert isinstance(app, Mapping)
    assert app["database"]["pool_size"] == 10
    assert list(app) == list(app.keys()) == ["database", "limits"]
    assert (len(app), "limits" in app, "x" in app) == (2, True, False)
    assert dict(app.items())["limits"] == {"n": 1}
    assert {"n": 1} in app.values()


def test_a_missing_configuration_is_a_key_error(app: ConfigView) -> None:
    with pytest.raises(KeyError, match="databse"):
        app["databse"]


def test_get_takes_paths_and_a_default(app: ConfigView) -> None:
    assert app.get("database.hosts.1") == "b"
    assert app.get("/database/hosts/1") == "b"
    assert app.get("database.nothing") is None
    assert app.get("database.nothing", 5) == 5


def test_values_are_read_only_and_can_be_written_as_json(app: ConfigView) -> None:
    with pytest.raises(TypeError, match="read-only"):
        app["database"]["pool_size"] = 1  # type: ignore[index]
    assert json.loads(json.dumps(app["database"])) == {"pool_size": 10, "hosts": ["a", "b"]}


def test_a_snapshot_does_not_change(client: FakeConfigClient, app: ConfigView) -> None:
    before = app.snapshot()
    client.set("billing", "database", {"pool_size": 20})
    assert (before["database"]["pool_size"], app["database"]["pool_size"]) == (10, 20)


def test_the_same_view_is_given_every_time(client: FakeConfigClient, app: ConfigView) -> None:
    assert client.application("billing") is app
    assert client.application("billing", environment="test") is not app
    app.close()
    assert client.application("billing") is not app


def test_a_view_is_hashable_and_true_without_asking_anybody(client: FakeConfigClient) -> None:
    app = client.application("nothing")
    assert app
    assert {app: 1}[app] == 1
    assert app.status().state == "not started"


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


def test_a_view_that_never_came_up_shows_why(client: FakeConfigClient) -> None:
    app = client.application("nothing")
    with pytest.raises(NotFoundError):
        app["database"]
    assert "starting, no configuration yet: GET" in repr(app)


def test_status_has_state_source_and_counts(client: FakeConfigClient, app: ConfigView) -> None:
    app.wait_until_ready()
    client.set("billing", "limits", {"n": 2})
    status = app.status()
    assert (status.state, status.stale, status.source) == ("live", False, "server")
    assert (status.configurations, status.changes) == (2, 2)
    assert status.version == app.snapshot().version
    assert status.age is not None
    assert status.last_error is None
    assert repr(status).startswith(f"live: version {(status.version or '')[:8]}, confirmed 0 s ago")


def test_completion_knows_the_names_and_the_methods(app: ConfigView) -> None:
    app.wait_until_ready()
    assert app._ipython_key_completions_() == ["database", "limits"]
    assert "on_change" in dir(app)
    assert not any(name.startswith("_") for name in dir(app))


def test_diff_shows_the_last_change(client: FakeConfigClient, app: ConfigView) -> None:
    assert repr(app.diff()) == "no differences"
    before = app.snapshot()
    client.set("billing", "limits", {"n": 2})
    client.set("billing", "limits", {"n": 3})
    assert repr(app.diff()) == "~ /limits/n: 2 → 3"
    assert repr(app.diff(before)) == "~ /limits/n: 1 → 3"


def test_diff_with_an_environment_shows_what_would_change_there(
    client: FakeConfigClient, app: ConfigView
) -> None:
    client.environments.create("billing", name="prod")
    prod = client.environments.update("billing", "prod", auto_release=False)
    limits = client.configurations.find("billing", "limits")
    client.configurations.update(limits, config={"n": 2}, overlays={prod.name: {"m": 3}})
    client.remove("billing", "database")
    app.wait_until_ready()
    requests = len(client.requests)
    assert repr(app.diff(environment="prod")) == "~ /limits/n: 1 → 2"
    assert len(client.requests) == requests + 1
    assert repr(client.application("billing", environment="prod").diff(environment="default")) == (
        "~ /limits/n: 2 → 1"
    )
    client.releases.promote("billing", "default", "prod")
    assert repr(app.diff(environment="prod")) == "- /limits/m: 3"


def test_diff_with_a_timestamp_shows_what_has_changed_since(
    client: FakeConfigClient, app: ConfigView
) -> None:
    client.set("billing", "limits", {"n": 2})
    before = client.configurations.find("billing", "limits").updated_at
    client.set("billing", "limits", {"n": 3})
    assert repr(app.diff(at=before)) == "~ /limits/n: 2 → 3"
    client.environments.create("billing", name="prod")
    assert repr(app.diff(environment="prod", at=before)).startswith("+ /database: ")


def test_a_past_snapshot_can_be_read(client: FakeConfigClient, app: ConfigView) -> None:
    before = client.configurations.find("billing", "limits").updated_at
    client.set("billing", "limits", {"n": 2})
    assert app["limits"]["n"] == 2
    past = app.at(before)
    assert past["limits"]["n"] == 1
    assert past.provenance("limits").version == 1
    assert past["database"] is app["database"]
    sent = next(request.params for request in client.requests if "at" in request.params)
    assert sent == {"at": before.strftime("%Y-%m-%dT%H:%M:%SZ")}


def test_a_timestamp_without_a_time_zone_is_refused(app: ConfigView) -> None:
    timestamp = datetime(2026, 11, 24)  # noqa: DTZ001 - which is the point
    with pytest.raises(ValueError, match="give it a time zone"):
        app.at(timestamp)
    with pytest.raises(ValueError, match="give it a time zone"):
        app.diff(at=timestamp)


def test_a_diff_has_one_other_side(app: ConfigView) -> None:
    with pytest.raises(ValueError, match="either"):
        app.diff(app.snapshot(), environment="prod")


def test_refresh_returns_whether_anything_changed(
    stub: StubServer, make_client: MakeClient
) -> None:
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


def test_a_closed_view_can_be_read(client: FakeConfigClient, app: ConfigView) -> None:
    with app:
        app.wait_until_ready()
    client.set("billing", "limits", {"n": 2})
    assert app["limits"]["n"] == 1
    assert "limits" in app
    assert app.status().state == "closed"


def test_a_view_closed_before_it_was_used_says_so(app: ConfigView) -> None:
    app.close()
    with pytest.raises(ClosedError, match="'billing'"):
        app["database"]


# Callbacks --------------------------------------------------------------------------------


def test_a_callback_for_everything_gets_both_snapshots(
    client: FakeConfigClient, app: ConfigView
) -> None:
    app.wait_until_ready()
    reported: list[Change] = []
    app.on_change(reported.append)
    client.set("billing", "database", {"pool_size": 20})
    client.remove("billing", "limits")
    first, second = reported
    assert (first.old["database"]["pool_size"], first.new["database"]["pool_size"]) == (10, 20)
    assert first.configurations == ("database",)
    assert second.configurations == ("limits",)
    assert (first.path, first.new) == ("", second.old)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("database", {"pool_size": 10, "hosts": ["a", "b"]}, {"pool_size": 20}),
        ("database.pool_size", 10, 20),
        ("/database/pool_size", 10, 20),
        ("database.hosts", ["a", "b"], None),
        ("database.hosts.0", "a", None),
    ],
)
def test_a_callback_for_a_path_gets_old_and_new_value(
    client: FakeConfigClient, app: ConfigView, path: str, old: object, new: object
) -> None:
    reported: list[Change] = []
    app.on_change(reported.append, path)
    client.set("billing", "limits", {"n": 2})
    assert not reported
    client.set("billing", "database", {"pool_size": 20})
    assert [(change.path, change.old, change.new) for change in reported] == [(path, old, new)]


@pytest.mark.parametrize(("before", "after"), [(1, 1.0), (1, True), (None, 0)])
def test_a_value_of_another_type_is_a_change(
    client: FakeConfigClient, app: ConfigView, before: Any, after: Any
) -> None:
    client.set("billing", "limits", {"n": before})
    reported: list[Change] = []
    app.on_change(reported.append, "limits.n")
    client.set("billing", "limits", {"n": after})
    assert len(reported) == 1


def test_a_new_version_with_the_same_values_is_no_change(
    client: FakeConfigClient, app: ConfigView
) -> None:
    reported: list[Change] = []
    app.on_change(reported.append)
    client.set("billing", "limits", {"n": 1})
    assert not reported
    assert app.snapshot().provenance("limits").version == 2


def test_a_callback_sees_the_new_values_everywhere(
    client: FakeConfigClient, app: ConfigView
) -> None:
    bound = app.bind("database", Database)
    seen: list[Any] = []
    app.on_change(lambda _: seen.append((app["database"]["pool_size"], bound.value.pool_size)))
    client.set("billing", "database", {"pool_size": 20})
    assert seen == [(20, 20)]


def test_a_failing_callback_is_logged_once_and_stops_nobody(
    client: FakeConfigClient, app: ConfigView, caplog: pytest.LogCaptureFixture
) -> None:
    reported: list[Change] = []

    def fail(change: Change) -> None:
        raise SystemExit("stop") if change.configurations == ("database",) else ValueError("no")

    app.on_change(fail)
    app.on_change(reported.append)
    client.set("billing", "limits", {"n": 2})
    client.set("billing", "database", {"pool_size": 20})
    assert len(reported) == 2
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "<Subscription to everything> failed" in caplog.text


def test_a_cancelled_subscription_is_not_notified(
    client: FakeConfigClient, app: ConfigView
) -> None:
    reported: list[Change] = []
    subscription = app.on_change(reported.append, "limits")
    assert repr(subscription) == "<Subscription to 'limits'>"
    subscription.cancel()
    subscription.cancel()
    client.set("billing", "limits", {"n": 2})
    assert not reported


def test_changes_made_by_a_callback_are_reported_in_order(
    client: FakeConfigClient, app: ConfigView
) -> None:
    reported: list[int] = []

    def count(change: Change) -> None:
        reported.append(change.new)
        if change.new < 5:
            client.set("billing", "limits", {"n": change.new + 1})

    app.on_change(count, "limits.n")
    client.set("billing", "limits", {"n": 2})
    assert reported == [2, 3, 4, 5]


# Bound objects ----------------------------------------------------------------------------


def test_a_bound_dataclass_follows_its_configuration(
    client: FakeConfigClient, app: ConfigView
) -> None:
    bound = app.bind("database", Database)
    before = bound.value
    assert before == Database(10)
    client.set("billing", "database", {"pool_size": 20, "host": "db1"})
    assert bound.value == Database(20, "db1")
    assert before == Database(10)
    assert repr(bound) == "<Bound 'database': Database(pool_size=20, host='db1')>"


def test_typeddicts_and_pydantic_models_can_be_bound(
    client: FakeConfigClient, app: ConfigView
) -> None:
    as_dict, as_model = app.bind("database", DatabaseDict), app.bind("database", DatabaseModel)
    client.set("billing", "database", {"pool_size": 20})
    assert as_dict.value["pool_size"] == as_model.value.pool_size == 20


def test_a_path_can_be_bound(app: ConfigView) -> None:
    assert app.bind("database.hosts", list).value == ["a", "b"]


def test_the_same_object_is_bound_every_time(app: ConfigView) -> None:
    assert app.bind("database", Database) is app.bind("database", Database)


def test_the_object_stays_while_its_configuration_does(
    client: FakeConfigClient, app: ConfigView
) -> None:
    bound = app.bind("database", Database)
    before = bound.value
    client.set("billing", "limits", {"n": 2})
    assert bound.value is before


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"pool_size": "many"}, "/pool_size must be an integer, not 'many'"),
        ({"pool_size": 0}, "pool_size must be positive"),
        ({}, "/pool_size is missing"),
    ],
)
def test_a_document_that_does_not_fit_is_rejected_and_reported(
    client: FakeConfigClient,
    app: ConfigView,
    caplog: pytest.LogCaptureFixture,
    config: dict[str, Any],
    reason: str,
) -> None:
    bound = app.bind("database", Database)
    client.set("billing", "database", config)
    client.set("billing", "limits", {"n": 2})
    assert bound.value == Database(10)
    assert reason in str(bound.error)
    assert reason in app.status().rejected["database"]
    assert reason in repr(app.status())
    assert "newest rejected" in repr(bound)
    assert len(caplog.records) == 1

    client.set("billing", "database", {"pool_size": 30})
    assert bound.value == Database(30)
    assert bound.error is None
    assert not app.status().rejected


def test_a_configuration_that_goes_away_leaves_the_object(
    client: FakeConfigClient, app: ConfigView
) -> None:
    bound = app.bind("database", Database)
    client.remove("billing", "database")
    assert bound.value == Database(10)
    assert "There is no 'database'" in str(bound.error)


@pytest.mark.parametrize("path", ["nothing", "limits"])
def test_what_does_not_fit_at_first_is_an_error(app: ConfigView, path: str) -> None:
    with pytest.raises(BindError, match=path):
        app.bind(path, Database)
    assert not app.status().rejected


def test_a_validator_that_reads_the_view_does_not_block(
    client: FakeConfigClient, app: ConfigView
) -> None:
    @dataclass
    class Reader:
        pool_size: int

        def __post_init__(self) -> None:
            self.seen = app["database"]["pool_size"]
            app.refresh()

    bound = app.bind("database", Reader)
    client.set("billing", "database", {"pool_size": 20})
    assert bound.value.seen == 20
