"""Environments of an application: made, listed, changed safely, and deleted."""

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
from tests.client.contract.conftest import Served

Write: TypeAlias = Callable[[ConfigClient, Environment], Any]

each_write = pytest.mark.parametrize(
    "write",
    [
        pytest.param(
            lambda client, staging: client.environments.update("billing", staging, position=9),
            id="update",
        ),
        pytest.param(
            lambda client, staging: client.environments.delete("billing", staging), id="delete"
        ),
    ],
)


@pytest.fixture
def staging(client: ConfigClient, billing: Application) -> Environment:
    """An environment of ``billing`` that can be deleted."""
    return client.environments.create(billing, name="staging", auto_release=False)


def names(client: ConfigClient) -> list[str]:
    return [environment.name for environment in client.environments.list("billing")]


def test_an_application_is_born_with_one(client: ConfigClient, billing: Application) -> None:
    (default,) = client.environments.list(billing)
    assert (default.application_id, default.name) == (billing.id, "default")
    assert (default.position, default.auto_release, default.protected) == (0, True, False)


def test_a_created_environment_is_found(client: ConfigClient, billing: Application) -> None:
    prod = client.environments.create(billing, name="prod", protected=True)
    assert (prod.application_id, prod.name) == (billing.id, "prod")
    assert client.environments.get("billing", "prod") == prod
    assert client.environments.get(billing.id, prod) == prod


@pytest.mark.parametrize(
    ("given", "auto_release", "protected"),
    [
        ({}, True, False),
        ({"protected": True}, False, True),
        ({"auto_release": False}, False, False),
        ({"auto_release": True}, True, False),
    ],
)
def test_an_environment_releases_by_itself_unless_it_is_protected(
    client: ConfigClient,
    billing: Application,
    given: dict[str, Any],
    auto_release: bool,
    protected: bool,
) -> None:
    made = client.environments.create(billing, name="x", **given)
    assert (made.auto_release, made.protected) == (auto_release, protected)


def test_environments_are_listed_in_the_order_of_promotion(
    client: ConfigClient, billing: Application
) -> None:
    assert client.environments.create(billing, name="prod").position == 1
    client.environments.create(billing, name="staging", position=0)
    client.environments.create(billing, name="canary", position=1)
    assert names(client) == ["default", "staging", "canary", "prod"]
    assert client.environments.create(billing, name="last").position == 2
    paged = client.environments.list("billing", page_size=2)
    assert [environment.name for environment in paged] == names(client)


def test_a_new_environment_begins_with_the_newest_unless_it_waits_for_releases(
    client: ConfigClient, grown: Configuration, served: Served
) -> None:
    client.environments.create("billing", name="test")
    client.environments.create("billing", name="prod", auto_release=False)
    assert served("test") == {"database": {"pool_size": 30}}
    assert served("prod") == {}


def test_an_update_leaves_alone_what_it_does_not_name(
    client: ConfigClient, staging: Environment
) -> None:
    moved = client.environments.update("billing", staging, position=7)
    assert (moved.position, moved.auto_release, moved.protected) == (7, False, False)
    assert moved.updated_at > staging.updated_at
    released = client.environments.update("billing", moved, auto_release=True)
    assert (released.position, released.auto_release) == (7, True)
    assert client.environments.get("billing", "staging") == released


def test_what_becomes_protected_ceases_to_release_by_itself(
    client: ConfigClient, billing: Application
) -> None:
    made = client.environments.create(billing, name="prod")
    changed = client.environments.update(billing, made, protected=True)
    assert (made.auto_release, changed.auto_release, changed.protected) == (True, False, True)


def test_what_is_protected_no_more_waits_for_releases_still(
    client: ConfigClient, prod: Environment
) -> None:
    changed = client.environments.update("billing", prod, protected=False, position=7)
    assert (changed.position, changed.auto_release, changed.protected) == (7, False, False)


def test_a_deleted_environment_is_not_found(client: ConfigClient, staging: Environment) -> None:
    client.environments.delete("billing", staging)
    assert names(client) == ["default"]
    with pytest.raises(NotFoundError, match="'staging'"):
        client.environments.get("billing", "staging")


# Safe changes -----------------------------------------------------------------------------


@each_write
def test_a_stale_environment_is_not_changed(
    client: ConfigClient, staging: Environment, write: Write
) -> None:
    changed = client.environments.update("billing", staging, position=7)
    with pytest.raises(ConflictError) as caught:
        write(client, staging)
    assert caught.value.current_etag == f'"{changed.etag}"'
    assert client.environments.get("billing", "staging") == changed


def test_an_item_of_a_list_is_enough_for_a_safe_update(
    client: ConfigClient, staging: Environment
) -> None:
    (_, item) = client.environments.list("billing")
    changed = client.environments.update("billing", item, position=9)
    assert (changed.name, changed.position) == ("staging", 9)
    with pytest.raises(ConflictError):
        client.environments.update("billing", item, position=10)


def test_an_item_of_a_list_is_enough_for_a_safe_deletion(
    client: ConfigClient, staging: Environment
) -> None:
    (_, item) = client.environments.list("billing")
    client.environments.delete("billing", item)
    assert names(client) == ["default"]


@each_write
def test_a_stale_item_of_a_list_is_refused(
    client: ConfigClient, staging: Environment, write: Write
) -> None:
    (_, item) = client.environments.list("billing")
    changed = client.environments.update("billing", staging, position=7)
    with pytest.raises(ConflictError) as caught:
        write(client, item)
    assert caught.value.current_etag == f'"{changed.etag}"'
    assert client.environments.get("billing", "staging") == changed


# What is refused --------------------------------------------------------------------------


def test_a_name_is_unique_in_its_application(client: ConfigClient, prod: Environment) -> None:
    with pytest.raises(ConflictError, match="already"):
        client.environments.create("billing", name="prod")


@pytest.mark.parametrize("name", ["", "a/b", "-a", "a" * 65])
def test_a_name_that_can_not_be_is_refused(
    client: ConfigClient, billing: Application, name: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        client.environments.create("billing", name=name)
    assert [problem.pointer for problem in caught.value.errors] == ["/name"]


def test_what_is_protected_does_not_release_by_itself(
    client: ConfigClient, prod: Environment
) -> None:
    with pytest.raises(ValidationError, match="/auto_release"):
        client.environments.create("billing", name="x", auto_release=True, protected=True)
    with pytest.raises(ValidationError, match="/auto_release"):
        client.environments.update("billing", prod, auto_release=True)


@pytest.mark.parametrize("name", ["default", "prod"])
def test_what_must_stay_is_not_deleted(client: ConfigClient, prod: Environment, name: str) -> None:
    with pytest.raises(ConflictError, match=f"'{name}'"):
        client.environments.delete("billing", name)
    assert names(client) == ["default", "prod"]


def test_what_is_not_there_is_not_found(client: ConfigClient, billing: Application) -> None:
    with pytest.raises(NotFoundError, match="environment 'nowhere'"):
        client.environments.get("billing", "nowhere")
    with pytest.raises(NotFoundError, match="application 'nothing'"):
        list(client.environments.list("nothing"))
