"""Applications: made, found, listed, changed safely, and deleted."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configsvc_client import (
    Application,
    ConfigClient,
    Configuration,
    ConflictError,
    NotFoundError,
    ValidationError,
)

Write: TypeAlias = Callable[[ConfigClient, Application], Any]

NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40
)

# Each example leaves one more application behind, which harms no other.
shared_server = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

each_write = pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda client, app: client.applications.update(app, name="x"), id="update"),
        pytest.param(lambda client, app: client.applications.replace(app, name="x"), id="replace"),
        pytest.param(lambda client, app: client.applications.delete(app), id="delete"),
    ],
)


def names(client: ConfigClient, **options: Any) -> list[str]:
    return [application.name for application in client.applications.list(**options)]


def test_a_created_application_is_found_by_its_id_and_its_name(client: ConfigClient) -> None:
    created = client.applications.create(name="billing", comments="c")
    assert (created.name, created.comments, created.configuration_ids) == ("billing", "c", ())
    assert created.updated_at == created.created_at
    assert client.applications.get(created.id) == created
    assert client.applications.get("billing") == created


@pytest.mark.parametrize("chosen", ["01K9YV5C7W3V0Y1Q3W6M8N2B4E", "01k9yv5c7w3v0y1q3w6m8n2b4e"])
def test_an_application_can_be_given_an_id(client: ConfigClient, chosen: str) -> None:
    assert client.applications.create(name="billing", id=chosen).id == chosen.upper()


def test_an_application_has_the_ids_of_its_configurations(
    client: ConfigClient, database: Configuration, limits: Configuration
) -> None:
    assert client.applications.get("billing").configuration_ids == (database.id, limits.id)


def test_an_update_leaves_alone_what_it_does_not_name(client: ConfigClient) -> None:
    created = client.applications.create(name="shop", comments="c")
    updated = client.applications.update(created, name="store")
    assert (updated.id, updated.name, updated.comments) == (created.id, "store", "c")
    assert updated.created_at == created.created_at
    assert updated.updated_at > created.updated_at
    assert client.applications.get("store") == updated


def test_an_update_can_remove_the_comments(client: ConfigClient) -> None:
    created = client.applications.create(name="shop", comments="c")
    assert client.applications.update(created, comments=None).comments is None


def test_a_replacement_gives_what_it_leaves_out_its_default(client: ConfigClient) -> None:
    created = client.applications.create(name="shop", comments="c")
    replaced = client.applications.replace(created, name="store")
    assert (replaced.name, replaced.comments) == ("store", None)
    assert names(client) == ["store"]


def test_a_renamed_application_is_found_by_its_new_name_only(
    client: ConfigClient, billing: Application
) -> None:
    client.applications.update("billing", name="invoices")
    assert client.applications.get("invoices").id == billing.id
    with pytest.raises(NotFoundError, match="'billing'"):
        client.applications.get("billing")


def test_a_deleted_application_is_not_found(client: ConfigClient, billing: Application) -> None:
    client.applications.delete(billing)
    for key in (billing.id, "billing"):
        with pytest.raises(NotFoundError, match=f"'{key}'"):
            client.applications.get(key)


def test_deleting_an_application_deletes_its_configurations(
    client: ConfigClient, database: Configuration
) -> None:
    client.applications.delete("billing")
    assert list(client.configurations.list()) == []
    with pytest.raises(NotFoundError):
        client.configurations.get(database)


# Lists ------------------------------------------------------------------------------------


def test_applications_are_listed_oldest_first(client: ConfigClient) -> None:
    for name in ("c", "a", "b"):
        client.applications.create(name=name)
    assert names(client) == ["c", "a", "b"]


def test_a_chosen_id_has_its_place_in_a_list(client: ConfigClient) -> None:
    for number in (3, 1, 2):
        client.applications.create(name=f"app{number}", id=f"{number:026d}")
    assert names(client) == ["app1", "app2", "app3"]


def test_a_list_is_not_sorted_by_every_member(client: ConfigClient) -> None:
    with pytest.raises(ValidationError) as caught:
        names(client, sort="comments")
    assert [problem.pointer for problem in caught.value.errors] == ["/sort"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["a", "b", "c"]),
        ("-name", ["c", "b", "a"]),
        ("updated_at", ["b", "a", "c"]),
        ("-id", ["b", "a", "c"]),
    ],
)
def test_a_list_can_be_sorted(client: ConfigClient, sort: str, expected: list[str]) -> None:
    for name in ("c", "a", "b"):
        client.applications.create(name=name)
    for name in ("a", "c"):
        client.applications.update(name, comments="changed")
    assert names(client, sort=sort, page_size=2) == expected


def test_a_list_is_complete_however_small_its_pages(client: ConfigClient) -> None:
    expected = [f"app{number}" for number in range(6)]
    for name in expected:
        client.applications.create(name=name)
    assert names(client, page_size=2) == expected


def test_a_list_can_be_searched(client: ConfigClient) -> None:
    client.applications.create(name="shop")
    client.applications.create(name="billing", comments="of the SHOP")
    client.applications.create(name="50%")
    assert names(client, q="sho") == ["shop", "billing"]
    assert names(client, q="0%") == ["50%"]
    assert names(client, name="shop") == ["shop"]
    assert names(client, name="sho") == []


# Safe changes -----------------------------------------------------------------------------


@each_write
def test_a_stale_application_is_not_changed(
    client: ConfigClient, billing: Application, write: Write
) -> None:
    changed = client.applications.update(billing, comments="new")
    with pytest.raises(ConflictError) as caught:
        write(client, billing)
    assert caught.value.current_etag == f'"{client.applications.get("billing").etag}"'
    assert client.applications.get("billing") == changed


@each_write
def test_an_item_of_a_list_is_enough_for_a_safe_change(
    client: ConfigClient, billing: Application, write: Write
) -> None:
    (item,) = client.applications.list(name="billing")
    write(client, item)
    assert names(client, name="billing") == []
    with pytest.raises((ConflictError, NotFoundError)):
        write(client, item)


@each_write
def test_a_stale_item_of_a_list_is_refused(
    client: ConfigClient, billing: Application, write: Write
) -> None:
    (item,) = client.applications.list(name="billing")
    changed = client.applications.update(billing, comments="new")
    with pytest.raises(ConflictError) as caught:
        write(client, item)
    assert caught.value.current_etag == f'"{client.applications.get("billing").etag}"'
    assert client.applications.get("billing") == changed


# What is refused --------------------------------------------------------------------------


def test_the_name_of_an_application_is_unique(client: ConfigClient, billing: Application) -> None:
    shop = client.applications.create(name="shop")
    with pytest.raises(ConflictError, match="'billing'"):
        client.applications.create(name="billing")
    with pytest.raises(ConflictError, match="'billing'"):
        client.applications.update(shop, name="billing")


def test_the_id_of_an_application_is_unique(client: ConfigClient, billing: Application) -> None:
    with pytest.raises(ConflictError, match="already"):
        client.applications.create(name="x", id=billing.id)


@pytest.mark.parametrize("name", ["", "x" * 257, "01K9YV5C7W3V0Y1Q3W6M8N2B4E"])
def test_a_name_that_can_not_be_is_refused(client: ConfigClient, name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        client.applications.create(name=name)
    assert [problem.pointer for problem in caught.value.errors] == ["/name"]


def test_an_id_that_is_no_ulid_is_refused(client: ConfigClient) -> None:
    with pytest.raises(ValidationError) as caught:
        client.applications.create(name="billing", id="1")
    assert [problem.pointer for problem in caught.value.errors] == ["/id"]


# Whatever is asked for --------------------------------------------------------------------


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
