"""A view of what an environment serves: read, kept fresh, and looked at."""

import json
from collections.abc import Mapping

import pytest

from configsvc_client import (
    Application,
    ConfigClient,
    Configuration,
    ConfigView,
    Environment,
    NotFoundError,
)
from tests.client.contract.conftest import Put
from tests.client.contract.running import subscribe
from tests.client.stub import eventually


def test_a_view_is_a_mapping(app: ConfigView) -> None:
    assert isinstance(app, Mapping)
    assert app["database"]["pool_size"] == 10
    assert list(app) == list(app.keys()) == ["database", "limits"]
    assert (len(app), "limits" in app, "x" in app) == (2, True, False)
    assert dict(app.items())["database"] == {"pool_size": 10}
    assert {"pool_size": 10} in app.values()


def test_a_missing_configuration_is_a_key_error(app: ConfigView) -> None:
    with pytest.raises(KeyError, match="databse"):
        app["databse"]


def test_get_takes_paths_and_a_default(app: ConfigView) -> None:
    assert app.get("limits.hosts.1") == "b"
    assert app.get("/limits/hosts/1") == "b"
    assert app.get("limits.nothing") is None
    assert app.get("limits.nothing", 5) == 5


def test_values_are_read_only_and_can_be_written_as_json(app: ConfigView) -> None:
    with pytest.raises(TypeError, match="read-only"):
        app["limits"]["n"] = 2  # type: ignore[index]
    assert json.loads(json.dumps(app["limits"])) == {"n": 1, "hosts": ["a", "b"]}


def test_a_snapshot_does_not_change(app: ConfigView, put: Put) -> None:
    before, next_change = app.snapshot(), subscribe(app)
    put("database", {"pool_size": 20})
    next_change()
    assert (before["database"]["pool_size"], app["database"]["pool_size"]) == (10, 20)


def test_a_snapshot_tells_where_its_values_are_from(app: ConfigView, put: Put) -> None:
    next_change = subscribe(app)
    changed = put("database", {"pool_size": 20})
    next_change()
    found = app.snapshot().provenance("database")
    assert (found.id, found.version, found.updated_at) == (changed.id, 2, changed.updated_at)


def test_an_environment_is_viewed_with_its_overlay(
    client: ConfigClient, database: Configuration, prod: Environment
) -> None:
    client.configurations.update(database, overlays={"prod": {"pool_size": 50, "host": "db1"}})
    client.releases.release(database, prod)
    view = client.application("billing", environment="prod")
    assert view["database"] == {"pool_size": 50, "host": "db1"}


def test_an_application_is_viewed_by_its_id_too(
    client: ConfigClient, billing: Application, database: Configuration
) -> None:
    assert client.application(billing.id)["database"] == {"pool_size": 10}


def test_a_name_with_a_slash_can_be_viewed(client: ConfigClient) -> None:
    client.applications.create(name="a/b")
    client.configurations.create("a/b", name="c/d", config={"e": 1})
    assert client.application("a/b")["c/d"] == {"e": 1}


# Kept fresh -------------------------------------------------------------------------------


def test_configurations_come_and_go(app: ConfigView, client: ConfigClient) -> None:
    next_change = subscribe(app)
    made = client.configurations.create("billing", name="mail", config={"sender": "x"})
    next_change()
    assert app["mail"] == {"sender": "x"}
    assert app.snapshot().provenance("mail").id == made.id
    client.configurations.delete(made)
    next_change()
    assert "mail" not in app


def test_a_renamed_configuration_is_viewed_by_its_new_name(
    app: ConfigView, client: ConfigClient
) -> None:
    next_change = subscribe(app)
    client.configurations.update(client.configurations.find("billing", "limits"), name="bounds")
    assert next_change().configurations == ("bounds", "limits")
    assert list(app) == ["bounds", "database"]


def test_other_applications_do_not_matter(app: ConfigView, client: ConfigClient) -> None:
    before = app.snapshot()
    client.configurations.create(client.applications.create(name="shop"), name="a", config={})
    assert not app.refresh()
    assert app.snapshot().version == before.version


def test_after_a_refresh_a_view_has_what_was_written_before(app: ConfigView, put: Put) -> None:
    put("limits", {"n": 2})
    app.refresh()
    assert app["limits"] == {"n": 2}


def test_a_new_version_with_the_same_values_is_no_change(
    app: ConfigView, client: ConfigClient, limits: Configuration
) -> None:
    reported: list[object] = []
    app.on_change(reported.append)
    client.configurations.update(limits, config={"n": 1})
    app.refresh()
    assert app.snapshot().provenance("limits").version == 2
    assert not reported


def test_an_application_created_later_is_found(client: ConfigClient) -> None:
    app = client.application("later")
    with pytest.raises(NotFoundError):
        app.wait_until_ready()
    client.applications.create(name="later")
    # The first snapshot is no change, so no callback tells of it.
    eventually(lambda: app.status().state == "live")
    assert dict(app) == {}


@pytest.mark.parametrize(
    ("name", "environment", "kind"),
    [("nothing", "default", "application"), ("billing", "nothing", "environment")],
)
def test_what_is_not_there_is_not_found(
    client: ConfigClient, billing: Application, name: str, environment: str, kind: str
) -> None:
    app = client.application(name, environment=environment)
    with pytest.raises(NotFoundError) as caught:
        app.wait_until_ready()
    assert caught.value.problem["type"] == f"urn:configsvc:problem:{kind}-not-found"
    with pytest.raises(NotFoundError, match=kind):
        app.refresh()
    with pytest.raises(NotFoundError, match=kind):
        app["database"]
    assert "starting, no configuration yet: GET" in repr(app)


def test_a_closed_view_stays_as_it_is(app: ConfigView, client: ConfigClient, put: Put) -> None:
    with app:
        pass
    put("limits", {"n": 2})
    assert client.application("billing")["limits"]["n"] == 2
    assert app["limits"]["n"] == 1
    assert "limits" in app
    assert app.status().state == "closed"


def test_the_same_view_is_given_until_it_is_closed(client: ConfigClient, app: ConfigView) -> None:
    assert client.application("billing") is app
    assert client.application("billing", environment="test") is not app
    app.close()
    assert client.application("billing") is not app


def test_a_view_is_hashable_and_true_without_asking_anybody(client: ConfigClient) -> None:
    app = client.application("nothing")
    assert app
    assert {app: 1}[app] == 1
    assert app.status().state == "not started"


def test_status_tells_how_things_are(app: ConfigView, put: Put) -> None:
    next_change = subscribe(app)
    put("limits", {"n": 2})
    next_change()
    status = app.status()
    assert (status.state, status.stale, status.source) == ("live", False, "server")
    assert (status.configurations, status.changes) == (2, 2)
    assert status.version == app.snapshot().version
    assert status.age is not None
    assert status.last_error is None
