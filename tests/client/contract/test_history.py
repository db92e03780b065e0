"""Versions of a configuration: kept for ever, and brought back as new ones."""

import pytest

from configsvc_client import (
    Application,
    ConfigClient,
    Configuration,
    ConflictError,
    Environment,
    NotFoundError,
    ValidationError,
)
from tests.client.contract.conftest import Served
from tests.client.contract.running import threads_only


@threads_only("an async list has no progress in its repr")
def test_history_is_gone_through_from_either_end(
    client: ConfigClient, grown: Configuration
) -> None:
    history = client.configurations.history(grown, page_size=1)
    assert [revision.version for revision in history] == [1, 2, 3]
    assert repr(history) == "<revisions: 3 of 3 given>"
    newest_first = client.configurations.history(grown, newest_first=True, page_size=2)
    assert [revision.config["pool_size"] for revision in newest_first] == [30, 20, 10]


def test_a_revision_has_its_message(client: ConfigClient, database: Configuration) -> None:
    changed = client.configurations.update(
        database, config={"pool_size": 20}, message="Zürich needs more ✓"
    )
    first, second = client.configurations.history(changed)
    assert (first.message, second.message) == (None, "Zürich needs more ✓")
    assert second.author == changed.updated_by
    assert second.created_at == changed.updated_at


@pytest.mark.parametrize("message", ["load\n\nTicket 7: \u00fc \u2713", "two\r\nlines"])
def test_a_message_keeps_its_lines(
    client: ConfigClient, billing: Application, prod: Environment, message: str
) -> None:
    made = client.configurations.create(billing, name="n", config={}, message=message)
    client.configurations.replace(made, name="n", config={"n": 1}, message=message)
    client.configurations.rollback(made.id, 1, message=message)
    released = client.releases.release(made, prod, message=message)
    client.releases.release(made, prod, version=1, message=message)
    back = client.releases.rollback(made, prod, message=message)
    assert {released.message, back.message} == {message}
    client.releases.withdraw(made, prod, message=message)
    client.environments.update(billing, "default", position=3, message=message)
    client.applications.update(billing.id, comments="c", message=message)
    told = [change.message for change in client.changes.list(application=billing)][2:]
    assert told == [message] * 9
    assert {revision.message for revision in client.configurations.history(made)} == {message}


def test_a_revision_is_read_by_its_version(client: ConfigClient, grown: Configuration) -> None:
    assert client.configurations.revision(grown, 2).config == {"pool_size": 20}
    newest = next(client.configurations.history(grown, newest_first=True))
    assert newest == client.configurations.revision(grown, 3)
    with pytest.raises(NotFoundError, match="'4'"):
        client.configurations.revision(grown, 4)


def test_equal_contents_have_one_digest(client: ConfigClient, grown: Configuration) -> None:
    client.configurations.rollback(grown, 1)
    digests = [revision.digest for revision in client.configurations.history(grown)]
    assert digests[0] == digests[3] != digests[1]


# Going back -------------------------------------------------------------------------------


def test_a_rollback_is_a_new_version(
    client: ConfigClient, grown: Configuration, served: Served
) -> None:
    back = client.configurations.rollback(grown, 1, message="why")
    assert (back.version, back.config) == (4, {"pool_size": 10})
    assert client.configurations.revision(back, 4).message == "why"
    assert served("default")["database"] == {"pool_size": 10}


def test_a_rollback_to_a_version_that_is_not_there_is_refused(
    client: ConfigClient, grown: Configuration
) -> None:
    with pytest.raises(ValidationError) as caught:
        client.configurations.rollback(grown, 9)
    assert [problem.pointer for problem in caught.value.errors] == ["/version"]


def test_a_deleted_configuration_keeps_its_history(
    client: ConfigClient, grown: Configuration
) -> None:
    client.configurations.delete(grown)
    assert [revision.version for revision in client.configurations.history(grown)] == [1, 2, 3]
    assert client.configurations.revision(grown, 1).config == {"pool_size": 10}
    assert repr(client.configurations.diff(grown).changes) == "~ /config/pool_size: 20 → 30"


def test_a_deletion_is_undone(client: ConfigClient, grown: Configuration, served: Served) -> None:
    client.configurations.delete(grown)
    assert served("default") == {}
    restored = client.configurations.restore(grown, message="needed")
    assert (restored.version, restored.config) == (4, grown.config)
    assert restored.created_at == grown.created_at
    assert client.configurations.revision(grown, 4).message == "needed"
    assert served("default")["database"] == {"pool_size": 30}


def test_an_older_version_can_be_restored(
    client: ConfigClient, grown: Configuration, served: Served
) -> None:
    client.configurations.delete(grown)
    restored = client.configurations.restore(grown, version=2)
    assert (restored.version, restored.config) == (4, {"pool_size": 20})
    assert served("default")["database"] == {"pool_size": 20}


def test_what_is_not_deleted_is_not_restored(client: ConfigClient, database: Configuration) -> None:
    with pytest.raises(ConflictError, match="not deleted"):
        client.configurations.restore(database)


def test_what_has_lost_its_name_is_not_restored(
    client: ConfigClient, database: Configuration
) -> None:
    client.configurations.delete(database)
    client.configurations.create("billing", name="database", config={})
    with pytest.raises(ConflictError, match="already"):
        client.configurations.restore(database)


def test_what_has_lost_its_application_is_not_restored(
    client: ConfigClient, database: Configuration
) -> None:
    client.applications.delete("billing")
    with pytest.raises(ConflictError, match="application"):
        client.configurations.restore(database)


@pytest.mark.parametrize("key", ["nothing", "01K9YV5C7W3V0Y1Q3W6M8N2B4D"])
def test_what_never_was_is_not_found(client: ConfigClient, key: str) -> None:
    with pytest.raises(NotFoundError):
        client.configurations.restore(key)
    with pytest.raises(NotFoundError):
        list(client.configurations.history(key))


# Looking ahead ----------------------------------------------------------------------------


def test_validation_shows_what_each_environment_would_get_and_writes_nothing(
    client: ConfigClient, database: Configuration, prod: Environment, served: Served
) -> None:
    found = client.configurations.validate(
        "billing",
        name="database",
        config={"pool_size": 5},
        overlays={"prod": {"pool_size": 6}},
        configuration=database,
    )
    assert found.environments == {"default": {"pool_size": 5}, "prod": {"pool_size": 6}}
    assert client.configurations.get(database) == database
    assert served("default")["database"] == {"pool_size": 10}


def test_validation_of_a_change_keeps_what_is_left_out(
    client: ConfigClient, database: Configuration, prod: Environment
) -> None:
    changed = client.configurations.update(database, overlays={"prod": {"pool_size": 50}})
    found = client.configurations.validate(
        "billing", name="database", config={"pool_size": 5}, configuration=changed
    )
    assert found.environments == {"default": {"pool_size": 5}, "prod": {"pool_size": 50}}


def test_validation_refuses_what_a_write_would(
    client: ConfigClient, database: Configuration
) -> None:
    with pytest.raises(ConflictError, match="'database'"):
        client.configurations.validate("billing", name="database", config={})
    with pytest.raises(ValidationError, match="/overlays/nowhere"):
        client.configurations.validate("billing", name="n", config={}, overlays={"nowhere": {}})


@pytest.mark.parametrize(
    ("application", "configuration", "pointer"),
    [
        ("01K9YV5C7W3V0Y1Q3W6M8N2B4E", None, "/application_id"),
        ("billing", "01K9YV5C7W3V0Y1Q3W6M8N2B4D", "/id"),
    ],
)
def test_validation_refuses_an_id_of_nothing(
    client: ConfigClient,
    database: Configuration,
    application: str,
    configuration: str | None,
    pointer: str,
) -> None:
    with pytest.raises(ValidationError) as caught:
        client.configurations.validate(
            application, name="n", config={}, configuration=configuration
        )
    assert [problem.pointer for problem in caught.value.errors] == [pointer]
