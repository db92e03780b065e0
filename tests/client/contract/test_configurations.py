"""Configurations: made, found, listed, changed safely, and deleted."""

from collections.abc import Callable
from typing import Any, TypeAlias

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
from tests.client.contract.running import threads_only

Write: TypeAlias = Callable[[ConfigClient, Configuration], Any]


def names(client: ConfigClient, *place: Application | str, **options: Any) -> list[str]:
    return [found.name for found in client.configurations.list(*place, **options)]


def test_a_created_configuration_is_found_by_its_id_and_its_name(
    client: ConfigClient, billing: Application
) -> None:
    config = {"pool": {"size": 1, "max": 2}, "hosts": ["a", None, 1.5]}
    created = client.configurations.create(billing, name="database", config=config, comments="c")
    assert (created.application_id, created.version) == (billing.id, 1)
    assert (created.config, created.comments) == (config, "c")
    assert (created.overlays, created.schema) == ({}, None)
    assert client.configurations.get(created.id) == created
    assert client.configurations.find("billing", "database") == created


def test_a_configuration_can_be_given_an_id(client: ConfigClient, billing: Application) -> None:
    chosen = "01K9YV5C7W3V0Y1Q3W6M8N2B4D"
    made = client.configurations.create(billing, name="database", config={}, id=chosen)
    assert made.id == chosen


def test_overlays_and_schema_are_created_with_the_configuration(
    client: ConfigClient, prod: Environment
) -> None:
    overlays, schema = {"prod": {"pool_size": 50}}, {"type": "object"}
    made = client.configurations.create(
        "billing", name="database", config={"pool_size": 10}, overlays=overlays, schema=schema
    )
    assert (made.overlays, made.schema) == (overlays, schema)


def test_an_update_is_merged_into_what_is_there(client: ConfigClient, billing: Application) -> None:
    created = client.configurations.create(
        billing, name="database", config={"a": {"b": 1, "c": 2}}, comments="c"
    )
    updated = client.configurations.update(created, config={"a": {"b": None, "d": 3}})
    assert (updated.config, updated.version) == ({"a": {"c": 2, "d": 3}}, 2)
    assert (updated.name, updated.comments) == ("database", "c")
    assert updated.created_at == created.created_at
    assert updated.updated_at > created.updated_at
    assert client.configurations.get(created) == updated


def test_an_update_can_remove_an_overlay_and_the_schema(
    client: ConfigClient, prod: Environment
) -> None:
    made = client.configurations.create(
        "billing", name="database", config={}, overlays={"prod": {"a": 1}}, schema={}
    )
    updated = client.configurations.update(made, overlays={"prod": None}, schema=None)
    assert (updated.overlays, updated.schema) == ({}, None)


def test_a_replacement_gives_what_it_leaves_out_its_default(
    client: ConfigClient, prod: Environment
) -> None:
    made = client.configurations.create(
        "billing",
        name="database",
        config={"a": 1},
        comments="c",
        overlays={"prod": {"a": 2}},
        schema={},
    )
    replaced = client.configurations.replace(made, name="db", config={"a": [1, None, 1.5]})
    assert (replaced.name, replaced.version) == ("db", 2)
    assert (replaced.config, replaced.comments) == ({"a": [1, None, 1.5]}, None)
    assert (replaced.overlays, replaced.schema) == ({}, None)


def test_a_deleted_configuration_is_gone(client: ConfigClient, database: Configuration) -> None:
    client.configurations.delete(database, message="no more")
    assert names(client, "billing") == []
    assert client.applications.get("billing").configuration_ids == ()
    with pytest.raises(NotFoundError, match=f"'{database.id}'"):
        client.configurations.get(database)
    with pytest.raises(NotFoundError, match="'database'"):
        client.configurations.find("billing", "database")


# Lists ------------------------------------------------------------------------------------


@threads_only("an async list has no progress in its repr")
def test_a_list_is_complete_and_in_order(client: ConfigClient, billing: Application) -> None:
    expected = [f"c{number}" for number in range(25)]
    for name in expected:
        client.configurations.create("billing", name=name, config={})
    found = client.configurations.list("billing", page_size=10)
    assert [configuration.name for configuration in found] == expected
    assert repr(found) == "<configurations: 25 of 25 given>"
    backwards = names(client, "billing", sort="-name", page_size=10)
    assert backwards == sorted(expected, reverse=True)


def test_configurations_are_listed_by_application_or_all_together(
    client: ConfigClient, database: Configuration, limits: Configuration
) -> None:
    shop = client.applications.create(name="shop")
    client.configurations.create(shop, name="mail", config={}, comments="the limits of mail")
    assert names(client, "billing") == ["database", "limits"]
    assert names(client, shop) == ["mail"]
    assert names(client) == ["database", "limits", "mail"]
    assert names(client, q="LIMITS") == ["limits", "mail"]
    assert names(client, name="limits") == ["limits"]


# Safe changes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda client, old: client.configurations.update(old, config={}), id="update"),
        pytest.param(
            lambda client, old: client.configurations.replace(old, name="x", config={}),
            id="replace",
        ),
        pytest.param(lambda client, old: client.configurations.delete(old), id="delete"),
        pytest.param(lambda client, old: client.configurations.rollback(old, 1), id="rollback"),
    ],
)
def test_the_slower_of_two_writers_gets_both_versions(
    client: ConfigClient, database: Configuration, write: Write
) -> None:
    changed = client.configurations.update(database, config={"pool_size": 20})
    with pytest.raises(ConflictError) as caught:
        write(client, database)
    assert (caught.value.read_version, caught.value.current_version) == (1, 2)
    assert caught.value.request_id
    assert client.configurations.get(database) == changed


def test_without_a_version_the_last_writer_wins(
    client: ConfigClient, database: Configuration
) -> None:
    client.configurations.update(database.id, config={"pool_size": 20})
    last = client.configurations.update(database.id, config={"pool_size": 30})
    assert (last.config, last.version) == ({"pool_size": 30}, 3)


def test_an_item_of_a_list_is_enough_for_a_safe_change(
    client: ConfigClient, database: Configuration
) -> None:
    (item,) = client.configurations.list("billing")
    client.configurations.update(item, config={"pool_size": 20})
    with pytest.raises(ConflictError):
        client.configurations.update(item, config={"pool_size": 30})


def test_application_and_name_say_which_configuration(
    client: ConfigClient, database: Configuration
) -> None:
    them = client.configurations
    changed = them.update("billing", "database", config={"pool_size": 20})
    assert (changed.id, changed.version) == (database.id, 2)
    assert them.replace("billing", "database", config={"n": 3}).version == 3
    assert [revision.version for revision in them.history("billing", "database")] == [1, 2, 3]
    assert them.revision("billing", "database", 2) == them.revision(database, 2)
    assert them.diff("billing", "database", 1, 2).patch == them.diff(database, 1, 2).patch
    assert them.rollback("billing", "database", 1).config == {"pool_size": 10}
    with pytest.raises(ConflictError) as caught:
        them.delete("billing", "database", version=3)
    assert (caught.value.read_version, caught.value.current_version) == (3, 4)
    them.delete("billing", "database")
    with pytest.raises(NotFoundError):
        them.update("billing", "database", config={})


# What is refused --------------------------------------------------------------------------


def test_a_name_is_unique_in_its_application(client: ConfigClient, database: Configuration) -> None:
    with pytest.raises(ConflictError, match="'database'"):
        client.configurations.create("billing", name="database", config={})
    shop = client.applications.create(name="shop")
    assert client.configurations.create(shop, name="database", config={}).version == 1


@pytest.mark.parametrize(
    ("name", "config", "pointer"),
    [("", {}, "/name"), ("x" * 257, {}, "/name"), ("x", [], "/config")],
)
def test_a_value_that_can_not_be_is_refused(
    client: ConfigClient, billing: Application, name: str, config: Any, pointer: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        client.configurations.create("billing", name=name, config=config)
    assert [problem.pointer for problem in caught.value.errors] == [pointer]


def test_an_overlay_for_an_environment_that_is_not_there_is_refused(
    client: ConfigClient, database: Configuration
) -> None:
    with pytest.raises(ValidationError) as caught:
        client.configurations.update(database, overlays={"nowhere": {}})
    assert [problem.pointer for problem in caught.value.errors] == ["/overlays/nowhere"]


def test_an_overlay_outlives_its_environment(client: ConfigClient, prod: Environment) -> None:
    made = client.configurations.create(
        "billing", name="database", config={}, overlays={"prod": {"pool_size": 50}}
    )
    client.environments.update("billing", prod, protected=False)
    client.environments.delete("billing", "prod")
    changed = client.configurations.update(made, config={"pool_size": 20})
    assert changed.overlays == {"prod": {"pool_size": 50}}
    assert client.configurations.rollback(changed, 1).overlays == {"prod": {"pool_size": 50}}


@pytest.mark.parametrize("key", ["nothing", "01K9YV5C7W3V0Y1Q3W6M8N2B4D"])
def test_what_is_not_there_is_not_found(client: ConfigClient, key: str) -> None:
    with pytest.raises(NotFoundError, match=f"'{key}'"):
        client.configurations.get(key)
    with pytest.raises(NotFoundError, match=f"'{key}'"):
        client.configurations.create(key, name="database", config={})
