"""Environments and releases: what is sent, and what is made of the answers."""

from typing import Any

import pytest
import responses
from responses import matchers

from configsvc_client import ConfigClient, ConflictError, Environment
from tests.client.documents import (
    APPLICATION_ID,
    BASE,
    CONFIGURATION_ID,
    ENVIRONMENT,
    RELEASE,
    header,
    page,
    sent,
)

ENVIRONMENTS = f"{BASE}/applications/billing/environments"
RELEASES = f"{BASE}/configurations/{CONFIGURATION_ID}/releases"


@pytest.fixture
def client() -> ConfigClient:
    return ConfigClient("http://server", retries=0)


@pytest.fixture
def prod(client: ConfigClient, mock: responses.RequestsMock) -> Environment:
    mock.get(f"{ENVIRONMENTS}/prod", json=ENVIRONMENT, headers={"ETag": '"e1"'})
    return client.environments.get("billing", "prod")


def test_an_environment_is_read(prod: Environment) -> None:
    assert (prod.name, prod.position, prod.etag) == ("prod", 2, "e1")
    assert (prod.auto_release, prod.protected) == (False, True)
    assert repr(prod) == "<Environment 'prod' at position 2, protected>"


def test_what_is_not_said_about_an_environment_is_left_to_the_server(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.post(ENVIRONMENTS, json=ENVIRONMENT, status=201)
    client.environments.create("billing", name="prod", message="why")
    assert sent(mock) == {"name": "prod", "protected": False, "message": "why"}


def test_an_environment_is_created(client: ConfigClient, mock: responses.RequestsMock) -> None:
    mock.post(ENVIRONMENTS, json={**ENVIRONMENT, "auto_release": True, "protected": False})
    made = client.environments.create(
        "billing", name="prod", position=2, auto_release=True, protected=False
    )
    assert sent(mock)["position"] == 2
    assert sent(mock)["auto_release"] is True
    assert repr(made) == "<Environment 'prod' at position 2, auto-release>"


def test_environments_are_listed(client: ConfigClient, mock: responses.RequestsMock) -> None:
    mock.get(ENVIRONMENTS, json=page(ENVIRONMENT))
    assert [environment.name for environment in client.environments.list("billing")] == ["prod"]


def test_update_sends_what_is_given_and_the_etag_that_was_read(
    client: ConfigClient, mock: responses.RequestsMock, prod: Environment
) -> None:
    mock.patch(f"{ENVIRONMENTS}/prod", json=ENVIRONMENT)
    client.environments.update("billing", prod, position=5)
    assert sent(mock) == {"position": 5}
    assert header(mock, "If-Match") == '"e1"'


def test_update_by_name_sends_no_etag(client: ConfigClient, mock: responses.RequestsMock) -> None:
    mock.patch(f"{ENVIRONMENTS}/prod", json=ENVIRONMENT)
    client.environments.update("billing", "prod", auto_release=True, protected=False)
    assert sent(mock) == {"auto_release": True, "protected": False}
    assert header(mock, "If-Match") is None


def test_delete_sends_the_etag(
    client: ConfigClient, mock: responses.RequestsMock, prod: Environment
) -> None:
    mock.delete(f"{ENVIRONMENTS}/prod", status=204)
    client.environments.delete("billing", prod)
    assert header(mock, "If-Match") == '"e1"'


def test_an_item_of_a_list_is_deleted_with_the_etag_that_it_has_there(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(ENVIRONMENTS, json=page({**ENVIRONMENT, "etag": "e2"}))
    mock.delete(f"{ENVIRONMENTS}/prod", status=204)
    (item,) = client.environments.list("billing")
    client.environments.delete("billing", item)
    assert header(mock, "If-Match") == '"e2"'


def test_a_changed_item_of_a_list_is_not_deleted(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(ENVIRONMENTS, json=page({**ENVIRONMENT, "etag": "e1"}))
    problem = {"detail": "The resource has changed since it was read.", "current_etag": '"e2"'}
    mock.delete(f"{ENVIRONMENTS}/prod", json=problem, status=412)
    (item,) = client.environments.list("billing")
    with pytest.raises(ConflictError, match="has changed"):
        client.environments.delete("billing", item)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_lead_elsewhere_is_refused(client: ConfigClient, name: str) -> None:
    # As a path the last two would be those of the application, which can be deleted, too.
    with pytest.raises(ValueError, match="name of an environment"):
        client.environments.delete(APPLICATION_ID, name)
    with pytest.raises(ValueError, match="id of a configuration"):
        client.releases.release(name, "prod")


# Releases ---------------------------------------------------------------------------------


def test_a_release_is_read(client: ConfigClient, mock: responses.RequestsMock) -> None:
    mock.post(RELEASES, json=RELEASE, status=201)
    made = client.releases.release(CONFIGURATION_ID, "prod", message="tested")
    assert (made.version, made.previous_version, made.environment) == (3, 2, "prod")
    assert repr(made) == (
        "<Release of 'database' in 'prod': version 3 after 2, 2026-11-24 08:00 UTC by ada: tested>"
    )
    assert sent(mock) == {"environment": "prod", "message": "tested"}


def test_without_a_version_the_newest_is_released(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.post(RELEASES, json=RELEASE, status=201)
    client.releases.release(CONFIGURATION_ID, "prod")
    assert sent(mock) == {"environment": "prod"}


def test_a_version_is_released(
    client: ConfigClient, mock: responses.RequestsMock, prod: Environment
) -> None:
    mock.post(RELEASES, json=RELEASE)
    client.releases.release(CONFIGURATION_ID, prod, version=3)
    assert sent(mock) == {"environment": "prod", "version": 3}


def test_a_configuration_is_withdrawn(client: ConfigClient, mock: responses.RequestsMock) -> None:
    mock.post(RELEASES, json={**RELEASE, "version": None, "message": None}, status=201)
    made = client.releases.withdraw(CONFIGURATION_ID, "prod")
    assert sent(mock) == {"environment": "prod", "version": None}
    assert made.version is None
    assert "in 'prod': withdrawn after 2, 2026-11-24 08:00 UTC by ada>" in repr(made)


def test_a_release_is_rolled_back(client: ConfigClient, mock: responses.RequestsMock) -> None:
    mock.post(f"{RELEASES}/rollback", json=RELEASE, status=201)
    client.releases.rollback(CONFIGURATION_ID, "prod")
    assert sent(mock) == {"environment": "prod"}


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ({}, {"limit": "200"}),
        ({"environment": "prod", "current": True}, {"environment": "prod", "current": "true"}),
        ({"newest_first": True}, {"sort": "-id"}),
    ],
)
def test_releases_are_listed(
    client: ConfigClient,
    mock: responses.RequestsMock,
    arguments: dict[str, Any],
    query: dict[str, str],
) -> None:
    match = [matchers.query_param_matcher({"limit": "200", **query})]
    mock.get(RELEASES, json=page(RELEASE), match=match)
    assert [release.id for release in client.releases.list(CONFIGURATION_ID, **arguments)] == [7]


def test_what_one_environment_serves_is_promoted_to_another(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    answer = {"from": "staging", "to": "prod", "released": [RELEASE], "unchanged": 4}
    mock.post(f"{BASE}/applications/billing/promote", json=answer)
    made = client.releases.promote("billing", "staging", "prod", message="release 12")
    assert sent(mock) == {"from": "staging", "to": "prod", "message": "release 12"}
    assert [release.version for release in made.released] == [3]
    assert repr(made) == "<Promotion from 'staging' to 'prod': 1 released, 4 unchanged>"


def test_reprs_say_what_there_is(client: ConfigClient) -> None:
    assert repr(client.environments) == "<environments: create, get, list, update, delete>"
    assert repr(client.releases) == "<releases: release, withdraw, rollback, list, promote>"
    assert repr(client.changes) == "<changes: list, follow>"
