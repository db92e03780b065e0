"""The fake behaves as the client does."""

import pytest

from configsvc_client import (
    ConfigClient,
    ConflictError,
    NotFoundError,
    TransportError,
    ValidationError,
)
from configsvc_client.testing import FakeConfigClient


@pytest.fixture
def client() -> FakeConfigClient:
    return FakeConfigClient({"billing": {"database": {"a": {"b": 1, "c": 2}}}})


def test_it_is_a_client(client: FakeConfigClient) -> None:
    assert isinstance(client, ConfigClient)
    assert repr(client) == "<FakeConfigClient http://fake.invalid>"


def test_the_fixture_gives_an_empty_one(config_client: FakeConfigClient) -> None:
    assert list(config_client.applications.list()) == []


def test_applications_can_be_managed(client: FakeConfigClient) -> None:
    shop = client.applications.create(name="shop", comments="c")
    assert client.applications.get("shop") == client.applications.get(shop.id) == shop
    renamed = client.applications.update(shop, name="store")
    assert (renamed.name, renamed.comments) == ("store", "c")
    replaced = client.applications.replace(renamed, name="shop")
    assert replaced.comments is None
    assert [found.name for found in client.applications.list(q="sho")] == ["shop"]
    client.applications.delete(replaced)
    with pytest.raises(NotFoundError, match="'shop'"):
        client.applications.get("shop")


def test_configurations_can_be_managed(client: FakeConfigClient) -> None:
    found = client.configurations.find("billing", "database")
    updated = client.configurations.update(found, config={"a": {"b": None, "d": 3}})
    assert (updated.config, updated.version) == ({"a": {"c": 2, "d": 3}}, 2)
    replaced = client.configurations.replace(updated, name="db", config={})
    assert (replaced.name, replaced.config, replaced.version) == ("db", {}, 3)
    client.configurations.delete(replaced)
    assert client.applications.get("billing").configuration_ids == ()


def test_deleting_an_application_deletes_its_configurations(client: FakeConfigClient) -> None:
    client.applications.delete("billing")
    assert list(client.configurations.list()) == []


def test_a_write_based_on_an_older_version_conflicts(client: FakeConfigClient) -> None:
    found = client.configurations.find("billing", "database")
    client.configurations.update(found, config={})
    with pytest.raises(ConflictError) as caught:
        client.configurations.update(found, config={})
    assert (caught.value.read_version, caught.value.current_version) == (1, 2)


def test_names_are_unique(client: FakeConfigClient) -> None:
    with pytest.raises(ConflictError, match="billing"):
        client.applications.create(name="billing")
    with pytest.raises(ConflictError, match="database"):
        client.configurations.create("billing", name="database", config={})
    with pytest.raises(ConflictError, match="already"):
        client.applications.create(name="x", id=client.applications.get("billing").id)


def test_invalid_input_is_refused(client: FakeConfigClient) -> None:
    with pytest.raises(ValidationError) as caught:
        client.applications.create(name="x" * 257)
    assert caught.value.errors[0].pointer == "/name"
    with pytest.raises(ValidationError):
        client.configurations.create("billing", name="x", config=[])  # type: ignore[arg-type]


def test_lists_are_paged(client: FakeConfigClient) -> None:
    for number in range(5):
        client.applications.create(name=f"app{number}")
    assert len(list(client.applications.list(page_size=2))) == 6


def test_missing_things_are_not_found(client: FakeConfigClient) -> None:
    with pytest.raises(NotFoundError, match="environment"):
        client.application("billing", environment="prod").refresh()
    with pytest.raises(NotFoundError):
        client.configurations.get("nothing")


def test_set_creates_what_is_missing(client: FakeConfigClient) -> None:
    client.set("shop", "limits", {"n": 1})
    assert client.application("shop")["limits"] == {"n": 1}


def test_failure_makes_views_stale_until_it_ends(client: FakeConfigClient) -> None:
    app = client.application("billing")
    app.wait_until_ready()
    client.fail(TransportError("away"))
    assert app.status().stale
    with pytest.raises(TransportError):
        client.applications.get("billing")
    client.fail(None)
    assert not app.status().stale


def test_requests_are_remembered(client: FakeConfigClient) -> None:
    client.applications.get("billing")
    assert client.requests[-1].path == "/api/v1/applications/billing"
