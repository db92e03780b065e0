"""The fake changes safely as the server does."""

import pytest

from configsvc_client import (
    Configuration,
    ConflictError,
    NotFoundError,
    TransportError,
    ValidationError,
)
from configsvc_client.testing import FakeConfigClient


@pytest.fixture
def client() -> FakeConfigClient:
    return FakeConfigClient({"billing": {"database": {"size": 1}}})


@pytest.fixture
def database(client: FakeConfigClient) -> Configuration:
    """``database`` of ``billing``, at version 3 with a ``size`` of 3."""
    for size in (2, 3):
        client.set("billing", "database", {"size": size})
    return client.configurations.find("billing", "database")


@pytest.fixture
def _prod(client: FakeConfigClient) -> None:
    client.environments.create("billing", name="prod", protected=True)


def served(client: FakeConfigClient, environment: str) -> object:
    return client.application("billing", environment=environment).get("database.size")


def test_versions_are_kept(client: FakeConfigClient, database: Configuration) -> None:
    history = client.configurations.history(database, newest_first=True, page_size=2)
    assert [revision.config["size"] for revision in history] == [3, 2, 1]
    assert client.configurations.revision(database, 2).config == {"size": 2}
    with pytest.raises(NotFoundError):
        client.configurations.revision(database, 4)


def test_equal_contents_have_one_digest(client: FakeConfigClient, database: Configuration) -> None:
    client.configurations.rollback(database, 1)
    digests = [revision.digest for revision in client.configurations.history(database)]
    assert digests[0] == digests[3] != digests[1]


def test_versions_are_compared(client: FakeConfigClient, database: Configuration) -> None:
    found = client.configurations.diff(database)
    assert repr(found) == "version 2 → version 3\n~ /config/size: 2 → 3"
    assert found.patch == ({"op": "replace", "path": "/config/size", "value": 3},)
    assert repr(client.configurations.diff(database, 1, 3).changes) == "~ /config/size: 1 → 3"
    first = client.configurations.diff(database, to=1)
    assert first.from_.version is None
    assert {change.kind for change in first.changes} == {"added"}


@pytest.mark.usefixtures("_prod")
def test_environments_are_compared(client: FakeConfigClient, database: Configuration) -> None:
    first = client.configurations.diff(database, from_environment="prod")
    assert {change.kind for change in first.changes} == {"added"}
    client.releases.release(database, "prod", version=1)
    found = client.configurations.diff(database, from_environment="prod", to_environment="default")
    assert repr(found) == "version 1 in 'prod' → version 3 in 'default'\n~ /config/size: 1 → 3"


@pytest.mark.usefixtures("_prod")
def test_a_document_is_compared(client: FakeConfigClient, database: Configuration) -> None:
    document = {"name": "database", "config": {"size": 3}, "overlays": {"prod": {"size": 4}}}
    found = client.configurations.diff(database, environment="prod", document=document)
    assert repr(found.changes) == "~ /config/size: 3 → 4"


def test_a_rollback_is_a_new_version(client: FakeConfigClient, database: Configuration) -> None:
    back = client.configurations.rollback(database, 1, message="why")
    assert (back.version, back.config) == (4, {"size": 1})
    assert client.configurations.revision(back, 4).message == "why"
    assert served(client, "default") == 1
    with pytest.raises(ConflictError):
        client.configurations.rollback(database, 1)
    with pytest.raises(ValidationError):
        client.configurations.rollback(back, 9)


def test_a_deletion_is_undone(client: FakeConfigClient, database: Configuration) -> None:
    with pytest.raises(ConflictError, match="not deleted"):
        client.configurations.restore(database)
    client.configurations.delete(database)
    assert [revision.version for revision in client.configurations.history(database)] == [1, 2, 3]
    restored = client.configurations.restore(database, version=2)
    assert (restored.version, restored.config) == (4, {"size": 2})
    assert restored.created_at == database.created_at
    assert served(client, "default") == 2


def test_what_can_not_be_restored_is_refused(
    client: FakeConfigClient, database: Configuration
) -> None:
    client.configurations.delete(database)
    client.set("billing", "database", {})
    with pytest.raises(ConflictError, match="already one"):
        client.configurations.restore(database)
    client.applications.delete("billing")
    with pytest.raises(ConflictError, match="application"):
        client.configurations.restore(database)
    with pytest.raises(NotFoundError):
        client.configurations.restore("nothing")


@pytest.mark.usefixtures("_prod")
def test_validation_writes_nothing(client: FakeConfigClient, database: Configuration) -> None:
    found = client.configurations.validate(
        "billing",
        name="database",
        config={"size": 5},
        overlays={"prod": {"size": 6}},
        configuration=database,
    )
    assert found.environments == {"default": {"size": 5}, "prod": {"size": 6}}
    assert served(client, "default") == 3
    with pytest.raises(ConflictError):
        client.configurations.validate("billing", name="database", config={})
    with pytest.raises(ValidationError, match="/overlays/nowhere"):
        client.configurations.validate("billing", name="n", config={}, overlays={"nowhere": {}})


def test_schemas_are_kept_and_not_checked(client: FakeConfigClient) -> None:
    schema = {"required": ["size"]}
    made = client.configurations.create("billing", name="n", config={}, schema=schema)
    assert made.schema == schema
    client.set("billing", "n", {"a": 1})
    assert client.configurations.get(made).schema == schema


@pytest.mark.usefixtures("_prod")
def test_environments_can_be_managed(client: FakeConfigClient) -> None:
    staging = client.environments.create("billing", name="staging", position=0)
    names = [environment.name for environment in client.environments.list("billing")]
    assert names == ["default", "staging", "prod"]
    moved = client.environments.update("billing", staging, position=9)
    assert (moved.position, moved.auto_release) == (9, True)
    with pytest.raises(ConflictError):
        client.environments.delete("billing", staging)
    client.environments.delete("billing", moved)
    with pytest.raises(NotFoundError):
        client.environments.get("billing", "staging")


@pytest.mark.usefixtures("_prod")
def test_what_environments_must_not_be_is_refused(client: FakeConfigClient) -> None:
    with pytest.raises(ConflictError, match="already"):
        client.environments.create("billing", name="prod")
    with pytest.raises(ValidationError, match="/name"):
        client.environments.create("billing", name="a/b")
    with pytest.raises(ValidationError, match="/auto_release"):
        client.environments.create("billing", name="x", auto_release=True, protected=True)
    for name in ("default", "prod"):
        with pytest.raises(ConflictError):
            client.environments.delete("billing", name)


def test_a_new_environment_begins_with_the_newest_unless_it_waits_for_releases(
    client: FakeConfigClient, database: Configuration
) -> None:
    client.environments.create("billing", name="test")
    client.environments.create("billing", name="prod", auto_release=False)
    assert (served(client, "test"), served(client, "prod")) == (3, None)


@pytest.mark.usefixtures("_prod")
def test_an_environment_has_its_overlay(client: FakeConfigClient, database: Configuration) -> None:
    client.configurations.update(database, overlays={"prod": {"size": 50}})
    client.releases.release(database, "prod")
    assert (served(client, "default"), served(client, "prod")) == (3, 50)


@pytest.mark.usefixtures("_prod")
def test_releases_move_what_is_served(client: FakeConfigClient, database: Configuration) -> None:
    client.releases.release(database, "prod", version=1)
    made = client.releases.release(database, "prod")
    assert (made.previous_version, made.version) == (1, 3)
    assert client.releases.release(database, "prod") == made
    assert served(client, "prod") == 3
    now = client.releases.list(database, current=True)
    assert {release.environment: release.version for release in now} == {"default": 3, "prod": 3}
    client.releases.withdraw(database, "prod")
    assert served(client, "prod") is None
    with pytest.raises(ConflictError, match="does not serve"):
        client.releases.withdraw(database, "prod")
    past = client.releases.list(database, environment="prod", newest_first=True)
    assert [release.version for release in past] == [None, 3, 1]


@pytest.mark.usefixtures("_prod")
def test_releases_are_rolled_back_one_by_one(
    client: FakeConfigClient, database: Configuration
) -> None:
    for version in (1, 2, 3):
        client.releases.release(database, "prod", version=version)
    assert client.releases.rollback(database, "prod").version == 2
    assert client.releases.rollback(database, "prod").version == 1
    with pytest.raises(ConflictError, match="nothing before"):
        client.releases.rollback(database, "prod")
    assert served(client, "prod") == 1


@pytest.mark.usefixtures("_prod")
def test_promotion_releases_what_differs(client: FakeConfigClient, database: Configuration) -> None:
    client.set("billing", "limits", {"n": 1})
    client.releases.release(database, "prod")
    made = client.releases.promote("billing", "default", "prod")
    assert [release.name for release in made.released] == ["limits"]
    assert made.unchanged == 1
    with pytest.raises(ValidationError, match="/to"):
        client.releases.promote("billing", "default", "nowhere")
    with pytest.raises(ValidationError, match="another"):
        client.releases.promote("billing", "prod", "prod")


@pytest.mark.usefixtures("_prod")
def test_what_a_protected_environment_serves_is_not_deleted(
    client: FakeConfigClient, database: Configuration
) -> None:
    client.releases.release(database, "prod")
    with pytest.raises(ConflictError, match="protected"):
        client.configurations.delete(database)
    with pytest.raises(ConflictError, match="protected"):
        client.applications.delete("billing")
    client.releases.withdraw(database, "prod")
    client.applications.delete("billing")


def test_everything_is_in_the_log(client: FakeConfigClient, database: Configuration) -> None:
    client.configurations.update(database, name="db", message="shorter")
    log = list(client.changes.list(application="billing"))
    assert [(change.entity, change.action) for change in log] == [
        ("application", "create"),
        ("configuration", "create"),
        ("configuration", "update"),
        ("configuration", "update"),
        ("configuration", "update"),
    ]
    assert (log[-1].previous_name, log[-1].name, log[-1].message) == ("database", "db", "shorter")
    newest = next(client.changes.list(entity="configuration", newest_first=True))
    assert newest == log[-1]
    assert not list(client.changes.list(actor="nobody"))
    assert list(client.changes.list(application="billing", environment="default")) == log


def test_a_feed_gives_what_there_is_and_then_what_has_come(client: FakeConfigClient) -> None:
    feed = client.changes.follow()
    assert list(feed) == []
    client.set("billing", "limits", {"n": 1})
    assert [change.name for change in feed] == ["limits"]
    client.fail(TransportError("away"))
    assert list(feed) == []
    assert str(feed.error) == "away"
    client.fail(None)
    client.remove("billing", "limits")
    assert [change.action for change in feed] == ["delete"]
    resumed = client.changes.follow(after=feed.cursor)
    assert list(resumed) == []
