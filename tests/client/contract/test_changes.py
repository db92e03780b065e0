"""The log of changes: what is in it, how it is filtered, and where it goes on."""

from collections.abc import Callable, Iterable

import pytest

from configsvc_client import (
    Application,
    AuditChange,
    ConfigClient,
    Configuration,
    Environment,
    NotFoundError,
)
from tests.client.contract.running import threads_only


def done(changes: Iterable[AuditChange]) -> list[tuple[str, str]]:
    return [(change.entity, change.action) for change in changes]


def test_changes_are_listed_from_either_end(
    client: ConfigClient, database: Configuration, prod: Environment
) -> None:
    client.releases.release(database, prod)
    log = list(client.changes.list(application="billing"))
    assert done(log) == [
        ("application", "create"),
        ("configuration", "create"),
        ("environment", "create"),
        ("release", "release"),
    ]
    assert [change.id for change in log] == sorted({change.id for change in log})
    assert [change.environments for change in log] == [("default",)] * 2 + [("prod",)] * 2
    assert list(client.changes.list(newest_first=True)) == log[::-1]


def test_every_change_of_a_configuration_is_in_the_log(
    client: ConfigClient, grown: Configuration
) -> None:
    client.configurations.rollback(grown, 1, message="slow")
    client.configurations.delete(grown.id, message="no more")
    client.configurations.restore(grown, version=2)
    log = list(client.changes.list(configuration=grown))
    assert [(change.action, change.version, change.source_version) for change in log] == [
        ("create", 1, None),
        ("update", 2, None),
        ("update", 3, None),
        ("rollback", 4, 1),
        ("delete", 4, None),
        ("restore", 5, 2),
    ]
    assert [change.message for change in log][-3:] == ["slow", "no more", None]
    assert all(change.environments == ("default",) for change in log)


def test_every_change_of_a_release_is_in_the_log(
    client: ConfigClient, grown: Configuration, prod: Environment
) -> None:
    client.releases.release(grown, prod, version=1, message="tested")
    client.releases.promote("billing", "default", prod)
    client.releases.rollback(grown, prod)
    client.releases.withdraw(grown, prod)
    log = list(client.changes.list(environment=prod, entity="release"))
    assert [(change.action, change.previous_version, change.version) for change in log] == [
        ("release", None, 1),
        ("promote", 1, 3),
        ("rollback", 3, 1),
        ("withdraw", 1, None),
    ]
    assert (log[0].name, log[0].message, log[0].environments) == ("database", "tested", ("prod",))


def test_every_change_of_an_environment_is_in_the_log(
    client: ConfigClient, billing: Application, database: Configuration
) -> None:
    test = client.environments.create(billing, name="test")
    test = client.environments.update(billing, test, position=7)
    client.environments.delete(billing, test)
    log = list(client.changes.list(entity="environment"))
    assert [(change.action, change.name, change.environments) for change in log] == [
        ("create", "test", ("test",)),
        ("update", "test", ()),
        ("delete", "test", ("test",)),
    ]


def test_a_renaming_tells_both_names(client: ConfigClient, database: Configuration) -> None:
    client.configurations.update(database, name="db", message="shorter")
    client.applications.update("billing", name="invoices")
    *_, configuration, application = client.changes.list()
    assert (configuration.previous_name, configuration.name) == ("database", "db")
    assert configuration.message == "shorter"
    assert (application.previous_name, application.name) == ("billing", "invoices")
    # A snapshot has the name of its application.
    assert application.environments == ("default",)


def test_the_log_tells_which_environments_serve_something_else(
    client: ConfigClient, database: Configuration, prod: Environment
) -> None:
    client.environments.create("billing", name="beta")
    client.configurations.update(database, config={"pool_size": 20})
    newest = next(client.changes.list(newest_first=True))
    assert newest.environments == ("beta", "default")


@threads_only("an async list asks nothing before it is iterated over")
def test_a_deleted_application_stays_in_the_log_with_all_that_it_had(
    client: ConfigClient, billing: Application, database: Configuration, prod: Environment
) -> None:
    client.environments.create("billing", name="beta", position=9)
    client.applications.delete("billing", message="no more")
    log = list(client.changes.list(application=billing.id))
    assert done(log)[-2:] == [("configuration", "delete"), ("application", "delete")]
    assert [change.message for change in log[-2:]] == ["no more", "no more"]
    assert log[-1].environments == ("default", "prod", "beta")
    with pytest.raises(NotFoundError):
        client.changes.list(application="billing")


def test_who_did_it_is_in_the_log(client: ConfigClient, database: Configuration) -> None:
    log = list(client.changes.list())
    assert {change.actor for change in log} == {database.updated_by}
    assert all(change.request_id for change in log)
    assert log[-1].created_at == database.created_at


# Filters ----------------------------------------------------------------------------------


@pytest.fixture
def eventful(
    client: ConfigClient, database: Configuration, limits: Configuration, prod: Environment
) -> list[AuditChange]:
    """The log after changes of everything that there is."""
    client.releases.release(database, prod, message="tested")
    client.configurations.update(database, config={"pool_size": 20})
    client.applications.create(name="shop")
    return list(client.changes.list())


Wanted = Callable[[AuditChange], bool]


@pytest.mark.parametrize(
    ("filters", "is_wanted"),
    [
        ({"entity": "configuration"}, lambda change: change.entity == "configuration"),
        ({"action": "create"}, lambda change: change.action == "create"),
        ({"actor": "nobody"}, lambda _: False),
        ({"application": "billing"}, lambda change: change.name != "shop"),
        (
            {"application": "billing", "environment": "default"},
            lambda change: "default" in change.environments and change.name != "shop",
        ),
        (
            {"application": "billing", "environment": "prod"},
            lambda change: "prod" in change.environments,
        ),
        (
            {"application": "billing", "environment": "default", "entity": "configuration"},
            lambda change: change.entity == "configuration",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_the_log_can_be_filtered(
    client: ConfigClient, eventful: list[AuditChange], filters: dict[str, str], is_wanted: Wanted
) -> None:
    expected = [change for change in eventful if is_wanted(change)]
    assert list(client.changes.list(**filters)) == expected  # type: ignore[arg-type]
    backwards = client.changes.list(newest_first=True, **filters)
    assert list(backwards) == expected[::-1]


def test_the_log_can_be_filtered_by_what_was_read(
    client: ConfigClient,
    eventful: list[AuditChange],
    database: Configuration,
    prod: Environment,
) -> None:
    newest_first = client.changes.list(configuration=database, newest_first=True)
    assert [change.action for change in newest_first] == ["update", "release", "create"]
    (served,) = client.changes.list(environment=prod, entity="release")
    assert (served.message, served.environments) == ("tested", ("prod",))


# Going on ---------------------------------------------------------------------------------


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_log_goes_on_after_any_change(
    client: ConfigClient, eventful: list[AuditChange], newest_first: bool
) -> None:
    expected = eventful[::-1] if newest_first else eventful
    for taken in range(len(expected) + 1):
        log = client.changes.list(newest_first=newest_first)
        before = [next(log) for _ in range(taken)]
        later = client.changes.list(newest_first=newest_first, after=log.cursor)
        assert before + list(later) == expected


def test_a_log_that_was_read_goes_on_with_what_has_come_since(
    client: ConfigClient, database: Configuration
) -> None:
    log = client.changes.list()
    assert len(list(log)) == 2
    client.configurations.delete(database)
    assert done(client.changes.list(after=log.cursor)) == [("configuration", "delete")]


def test_following_begins_with_what_comes_after_the_call(
    client: ConfigClient, database: Configuration
) -> None:
    with client.changes.follow(application="billing") as feed:
        changed = client.configurations.update(
            database, config={"pool_size": 20}, message="more load"
        )
        change = next(feed)
        assert (change.version, change.message) == (changed.version, "more load")
        client.configurations.update(changed, config={"pool_size": 30})
        assert next(feed).version == 3


def test_following_can_begin_with_the_first_change(
    client: ConfigClient, database: Configuration, limits: Configuration
) -> None:
    with client.changes.follow(from_start=True, configuration=limits) as feed:
        assert next(feed).name == "limits"
        client.configurations.delete(database)
        client.configurations.delete(limits)
        assert (next(feed).action, feed.error) == ("delete", None)


def test_following_goes_on_at_a_cursor(client: ConfigClient, database: Configuration) -> None:
    with client.changes.follow() as feed:
        client.configurations.update(database, config={"pool_size": 20})
        client.configurations.delete(database.id)
        assert next(feed).action == "update"
        with client.changes.follow(after=feed.cursor) as resumed:
            assert next(resumed).action == next(feed).action == "delete"
            assert resumed.cursor == feed.cursor
