"""The wrappers and the server agree."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configsvc_client import (
    ConfigClient,
    Configuration,
    ConflictError,
    NotFoundError,
    ValidationError,
)

NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40
)

# Each example leaves the database with one more application, which harms no other.
shared_server = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_an_application_lives(client: ConfigClient) -> None:
    created = client.applications.create(name="billing", comments="c", message="Zürich ✓")
    assert client.applications.get("billing") == client.applications.get(created.id) == created
    updated = client.applications.update(created, comments=None)
    assert updated.comments is None
    assert updated.updated_at > created.updated_at
    replaced = client.applications.replace(updated, name="shop")
    assert [item.name for item in client.applications.list()] == ["shop"]
    client.applications.delete(replaced)
    with pytest.raises(NotFoundError):
        client.applications.get(created.id)


def test_a_stale_application_is_not_changed(client: ConfigClient) -> None:
    created = client.applications.create(name="billing")
    client.applications.update(created, comments="new")
    with pytest.raises(ConflictError) as caught:
        client.applications.delete(created)
    assert caught.value.current_etag == f'"{client.applications.get("billing").etag}"'


def test_an_item_of_a_list_can_be_changed_once(client: ConfigClient) -> None:
    client.applications.create(name="billing")
    (item,) = client.applications.list(name="billing")
    client.applications.update(item, comments="new")
    with pytest.raises(ConflictError):
        client.applications.update(item, comments="newer")


def test_a_configuration_lives(client: ConfigClient) -> None:
    billing = client.applications.create(name="billing")
    created = client.configurations.create(
        billing, name="database", config={"pool": {"size": 1, "max": 2}}, comments="c"
    )
    assert client.configurations.get(created.id) == created
    assert client.configurations.find("billing", "database") == created
    updated = client.configurations.update(created, config={"pool": {"size": 3, "max": None}})
    assert (updated.config, updated.version) == ({"pool": {"size": 3}}, 2)
    replaced = client.configurations.replace(updated, name="db", config={"a": [1, None, 1.5]})
    assert (replaced.config, replaced.comments) == ({"a": [1, None, 1.5]}, None)
    client.configurations.delete(replaced, message="no more")
    assert list(client.configurations.list(billing)) == []


def test_the_slower_of_two_writers_gets_both_versions(
    client: ConfigClient, database_configuration: Configuration
) -> None:
    client.configurations.update(database_configuration, config={"pool_size": 20})
    with pytest.raises(ConflictError) as caught:
        client.configurations.update(database_configuration, config={"pool_size": 30})
    assert (caught.value.read_version, caught.value.current_version) == (1, 2)
    assert caught.value.request_id


def test_a_list_is_complete_and_in_order(client: ConfigClient) -> None:
    client.applications.create(name="billing")
    names = [f"c{number}" for number in range(25)]
    for name in names:
        client.configurations.create("billing", name=name, config={})
    found = client.configurations.list("billing", page_size=10)
    assert [configuration.name for configuration in found] == names
    assert repr(found) == "<configurations: 25 of 25 given>"
    backwards = client.configurations.list("billing", sort="-name", page_size=10)
    assert [item.name for item in backwards] == sorted(names, reverse=True)


def test_invalid_input_comes_back_with_pointers(client: ConfigClient) -> None:
    with pytest.raises(ValidationError) as caught:
        client.applications.create(name="")
    assert [problem.pointer for problem in caught.value.errors] == ["/name"]


@shared_server
@given(name=NAMES)
def test_any_name_that_can_be_created_can_be_found(client: ConfigClient, name: str) -> None:
    try:
        created = client.applications.create(name=name)
    except (ConflictError, ValidationError):
        return
    assert client.applications.get(name).id == created.id
    assert client.configurations.create(name, name=name, config={}).application_id == created.id
    assert client.configurations.find(name, name).name == name


@shared_server
@given(message=st.text())
def test_any_message_can_be_sent(client: ConfigClient, message: str) -> None:
    created = client.applications.create(name="messages")
    try:
        client.applications.delete(created, message=message)
    except ValidationError:
        client.applications.delete(created)
