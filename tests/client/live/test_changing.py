"""Changing safely, against a real server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from configsvc_client import (
    ConfigClient,
    Configuration,
    ConfigView,
    ConflictError,
    Environment,
    NotFoundError,
    ServerError,
    ValidationError,
)
from tests.client.stub import eventually
from tests.support.servers import RunningServer

SCHEMA = {
    "type": "object",
    "properties": {"pool_size": {"type": "integer", "maximum": 100}, "timeout": {"default": 2.5}},
}


@dataclass(frozen=True)
class Database:
    pool_size: int
    timeout: float = 1.0


@pytest.fixture
def prod(client: ConfigClient, database_configuration: Configuration) -> Environment:
    """A protected environment that serves nothing yet."""
    return client.environments.create("billing", name="prod", protected=True)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def test_history_is_gone_through_and_back(
    client: ConfigClient, database_configuration: Configuration
) -> None:
    changed = client.configurations.update(
        database_configuration, config={"pool_size": 20}, message="more load"
    )
    history = client.configurations.history(changed, page_size=1)
    assert [revision.message for revision in history] == [None, "more load"]
    assert repr(history) == "<revisions: 2 of 2 given>"
    newest = next(client.configurations.history(changed, newest_first=True))
    assert newest == client.configurations.revision(changed, 2)
    with pytest.raises(ConflictError) as caught:
        client.configurations.rollback(database_configuration, 1)
    assert (caught.value.read_version, caught.value.current_version) == (1, 2)
    back = client.configurations.rollback(changed, 1)
    assert (back.version, back.config) == (3, {"pool_size": 10})
    first, _, third = client.configurations.history(back)
    assert first.digest == third.digest


def test_two_versions_are_compared(
    client: ConfigClient, database_configuration: Configuration
) -> None:
    changed = client.configurations.update(database_configuration, config={"pool_size": 20})
    found = client.configurations.diff(changed)
    assert repr(found) == "version 1 → version 2\n~ /config/pool_size: 10 → 20"
    assert found.patch == ({"op": "replace", "path": "/config/pool_size", "value": 20},)
    assert client.configurations.diff(changed, to=1).from_.version is None
    document = {"name": "database", "config": {"pool_size": 30}}
    proposed = client.configurations.diff(changed, document=document)
    assert repr(proposed.changes) == "~ /config/pool_size: 20 → 30"
    assert not client.configurations.diff(changed, 2, environment="default", to=2).changes


def test_what_environments_serve_is_compared(
    client: ConfigClient, database_configuration: Configuration, prod: Environment
) -> None:
    client.releases.release(database_configuration, prod)
    client.configurations.update(
        database_configuration, config={"pool_size": 20}, overlays={"prod": {"pool_size": 50}}
    )
    found = client.configurations.diff(database_configuration, from_environment=prod)
    assert repr(found) == (
        "version 1 in 'prod' → version 2 in 'prod'\n~ /config/pool_size: 10 → 50"
    )


def test_a_deletion_is_undone(client: ConfigClient, database_configuration: Configuration) -> None:
    with pytest.raises(ConflictError):
        client.configurations.restore(database_configuration)
    client.configurations.delete(database_configuration)
    restored = client.configurations.restore(database_configuration, message="needed")
    assert restored.config == database_configuration.config
    assert restored.version > database_configuration.version
    with pytest.raises(NotFoundError):
        client.configurations.restore("01K9YV5C7W3V0Y1Q3W6M8N2B4D")


def test_an_environment_lives(client: ConfigClient, prod: Environment) -> None:
    assert client.environments.get("billing", "prod") == prod
    (_, item) = client.environments.list("billing")
    assert (item.name, item.etag) == ("prod", prod.etag)
    changed = client.environments.update("billing", item, protected=False, position=7)
    assert (changed.position, changed.protected) == (7, False)
    with pytest.raises(ConflictError):
        client.environments.delete("billing", prod)
    client.environments.delete("billing", changed)
    with pytest.raises(NotFoundError):
        client.environments.get("billing", "prod")


def test_releases_reach_the_views_of_their_environment(
    client: ConfigClient, database_configuration: Configuration, app: ConfigView, prod: Environment
) -> None:
    changed = client.configurations.update(
        database_configuration, overlays={"prod": {"pool_size": 50}}
    )
    view = client.application("billing", environment="prod")
    assert "database" not in view
    made = client.releases.release(changed, prod, message="tested")
    assert client.releases.release(changed, prod) == made
    eventually(lambda: view.get("database.pool_size") == 50)
    assert repr(app.diff(environment="prod")) == "~ /database/pool_size: 50 → 10"
    client.releases.release(changed, prod, version=1)
    back = client.releases.rollback(changed, prod)
    assert (back.previous_version, back.version) == (1, 2)
    now = client.releases.list(changed, current=True)
    assert {release.environment: release.version for release in now} == {"default": 2, "prod": 2}
    with pytest.raises(ConflictError):
        client.configurations.delete(changed)
    assert client.releases.withdraw(changed, prod).version is None
    eventually(lambda: "database" not in view)


def test_what_one_environment_serves_is_promoted(
    client: ConfigClient, database_configuration: Configuration, prod: Environment
) -> None:
    made = client.releases.promote("billing", "default", prod, message="release 12")
    assert [release.name for release in made.released] == ["database"]
    assert client.releases.promote("billing", "default", prod).unchanged == 1
    releases = client.releases.list(database_configuration, environment=prod)
    assert [release.message for release in releases] == ["release 12"]


def test_a_schema_is_kept_to_and_its_defaults_are_served(
    client: ConfigClient, database_configuration: Configuration, app: ConfigView, prod: Environment
) -> None:
    bound = app.bind("database", Database, schema_defaults=True)
    changed = client.configurations.update(database_configuration, schema=SCHEMA)
    eventually(lambda: bound.value == Database(10, 2.5))
    assert app.bind("database", Database).value == Database(10, 1.0)
    with pytest.raises(ValidationError) as caught:
        client.configurations.update(changed, overlays={"prod": {"pool_size": 500}})
    (problem,) = caught.value.errors
    assert problem.schema_pointer == "/properties/pool_size/maximum"
    assert problem.environments == ("prod",)
    with pytest.raises(ValidationError):
        client.configurations.validate(
            "billing", name="other", config={"pool_size": "x"}, schema=SCHEMA
        )
    checked = client.configurations.validate(
        "billing", name="database", config={"pool_size": 5}, configuration=changed
    )
    assert checked.environments == {"default": {"pool_size": 5}, "prod": {"pool_size": 5}}


def test_a_past_moment_is_read(
    client: ConfigClient, database_configuration: Configuration, app: ConfigView
) -> None:
    changed = client.configurations.update(database_configuration, config={"pool_size": 20})
    app.refresh()
    assert app.at(database_configuration.updated_at)["database"] == {"pool_size": 10}
    assert repr(app.diff(at=database_configuration.updated_at)) == "~ /database/pool_size: 10 → 20"
    assert app.at(changed.updated_at)["database"] == app["database"]
    with pytest.raises(ValidationError):
        app.at(datetime(2999, 1, 1, tzinfo=UTC))


def test_changes_are_listed(
    client: ConfigClient, database_configuration: Configuration, prod: Environment
) -> None:
    client.releases.release(database_configuration, prod, message="tested")
    log = client.changes.list(application="billing")
    assert [(change.entity, change.action) for change in log] == [
        ("application", "create"),
        ("configuration", "create"),
        ("environment", "create"),
        ("release", "release"),
    ]
    (served,) = client.changes.list(environment=prod, entity="release")
    assert (served.message, served.environments) == ("tested", ("prod",))
    newest_first = client.changes.list(configuration=database_configuration, newest_first=True)
    assert [change.action for change in newest_first] == ["release", "create"]


def test_changes_are_followed_from_now_on(
    client: ConfigClient, database_configuration: Configuration, pool: ThreadPoolExecutor
) -> None:
    with client.changes.follow(application="billing") as feed:
        following = pool.submit(next, feed)
        changed = client.configurations.update(
            database_configuration, config={"pool_size": 20}, message="more load"
        )
        change = following.result(20)
        assert (change.version, change.message) == (changed.version, "more load")
        client.configurations.update(changed, config={"pool_size": 30})
        client.configurations.delete(changed.id)
        assert next(feed).version == 3
        resumed = client.changes.follow(application="billing", after=feed.cursor)
        assert next(resumed).action == next(feed).action == "delete"


def test_a_feed_waits_and_closes_promptly(
    client: ConfigClient, database_configuration: Configuration, pool: ThreadPoolExecutor
) -> None:
    feed = client.changes.follow(from_start=True, configuration=database_configuration)
    assert next(feed).action == "create"
    following = pool.submit(list, feed)
    # Each of these would wake it, if it waited for other things than its own.
    for number in range(10):
        client.applications.create(name=f"other{number}")
    assert not following.done()
    feed.close()
    assert following.result(10) == []


def test_a_feed_is_told_that_the_server_is_away(
    live_server: RunningServer,
    client: ConfigClient,
    database_configuration: Configuration,
    pool: ThreadPoolExecutor,
) -> None:
    feed = client.changes.follow()
    following = pool.submit(list, feed)
    live_server.stop()
    eventually(lambda: feed.error)
    assert not isinstance(feed.error, ServerError)
    feed.close()
    assert following.result(10) == []
