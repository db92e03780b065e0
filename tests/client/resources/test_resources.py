"""The typed wrappers: what each sends, and what it makes of the answer."""

import copy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import responses
from responses import matchers

from configsvc_client import (
    KEEP,
    Application,
    ConfigClient,
    Configuration,
    ConflictError,
    NotFoundError,
    ServerError,
)
from tests.client.documents import (
    APPLICATION,
    APPLICATION_ID,
    BASE,
    CONFIGURATION,
    CONFIGURATION_ID,
    ITEM,
    header,
    page,
    sent,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def client() -> ConfigClient:
    return ConfigClient("http://server", retries=0)


@pytest.fixture
def application() -> Application:
    moment = datetime(2026, 11, 24, 8, tzinfo=UTC)
    return Application(
        APPLICATION_ID, "billing", None, moment, moment + timedelta(microseconds=1), (), "e1"
    )


@pytest.fixture
def configuration(client: ConfigClient, mock: responses.RequestsMock) -> Configuration:
    mock.get(f"{BASE}/configurations/{CONFIGURATION_ID}", json=CONFIGURATION)
    return client.configurations.get(CONFIGURATION_ID)


def test_an_application_is_read(client: ConfigClient, mock: responses.RequestsMock) -> None:
    mock.get(f"{BASE}/applications/billing", json=APPLICATION, headers={"ETag": '"e1"'})
    found = client.applications.get("billing")
    assert found == Application(
        id=APPLICATION_ID,
        name="billing",
        comments=None,
        created_at=datetime(2026, 11, 24, 8, tzinfo=UTC),
        updated_at=datetime(2026, 11, 24, 8, 0, 0, 1, tzinfo=UTC),
        configuration_ids=(CONFIGURATION_ID,),
        etag="e1",
    )
    assert repr(found) == f"<Application 'billing' {APPLICATION_ID}, 1 configuration>"


def test_an_application_is_created(client: ConfigClient, mock: responses.RequestsMock) -> None:
    mock.post(f"{BASE}/applications", json=APPLICATION, status=201)
    client.applications.create(name="billing", comments="c", id=APPLICATION_ID, message="wärum")
    assert sent(mock) == {
        "name": "billing",
        "comments": "c",
        "id": APPLICATION_ID,
        "message": "wärum",
    }
    assert header(mock, "Content-Type") == "application/json"


def test_a_message_keeps_its_lines_in_a_body(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.post(f"{BASE}/applications", json=APPLICATION, status=201)
    client.applications.create(name="billing", message="first\n\nsecond\tthird ")
    assert sent(mock)["message"] == "first\n\nsecond\tthird "
    assert header(mock, "X-Change-Message") is None


def test_a_message_of_several_lines_is_sent_as_one_where_there_is_no_body(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.delete(f"{BASE}/applications/billing", status=204)
    client.applications.delete("billing", message="first\n\nsecönd\tthird ")
    assert header(mock, "X-Change-Message") == "first secönd third".encode()


def test_update_sends_what_is_given_and_the_etag_that_was_read(
    client: ConfigClient, mock: responses.RequestsMock, application: Application
) -> None:
    mock.patch(f"{BASE}/applications/{APPLICATION_ID}", json=APPLICATION)
    client.applications.update(application, comments=None)
    assert sent(mock) == {"comments": None}
    assert header(mock, "If-Match") == '"e1"'
    assert header(mock, "Content-Type") == "application/merge-patch+json"


def test_update_by_name_sends_no_etag(client: ConfigClient, mock: responses.RequestsMock) -> None:
    mock.patch(f"{BASE}/applications/billing", json=APPLICATION)
    client.applications.update("billing", name="shop")
    assert sent(mock) == {"name": "shop"}
    assert header(mock, "If-Match") is None


def test_replace_sends_every_member(
    client: ConfigClient, mock: responses.RequestsMock, application: Application
) -> None:
    mock.put(f"{BASE}/applications/{APPLICATION_ID}", json=APPLICATION)
    client.applications.replace(application, name="shop")
    assert sent(mock) == {"name": "shop", "comments": None}
    assert header(mock, "If-Match") == '"e1"'


def test_delete_sends_the_etag(
    client: ConfigClient, mock: responses.RequestsMock, application: Application
) -> None:
    mock.delete(f"{BASE}/applications/{APPLICATION_ID}", status=204)
    client.applications.delete(application)
    assert header(mock, "If-Match") == '"e1"'


def test_an_item_of_a_list_is_updated_with_the_etag_that_it_has_there(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(f"{BASE}/applications", json=page({**ITEM, "etag": "e1"}))
    mock.patch(f"{BASE}/applications/{APPLICATION_ID}", json=APPLICATION)
    (item,) = client.applications.list()
    assert item.configuration_ids is None
    client.applications.update(item, name="shop")
    assert header(mock, "If-Match") == '"e1"'


def test_a_changed_item_of_a_list_is_not_updated(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(f"{BASE}/applications", json=page({**ITEM, "etag": "e1"}))
    problem = {"current_etag": '"e2"'}
    mock.patch(f"{BASE}/applications/{APPLICATION_ID}", json=problem, status=412)
    (item,) = client.applications.list()
    with pytest.raises(ConflictError) as caught:
        client.applications.update(item, name="shop")
    assert caught.value.current_etag == '"e2"'


@pytest.mark.parametrize("name", ["a/b", ".", ".."])
def test_a_name_that_no_path_can_have_is_looked_up(
    client: ConfigClient, mock: responses.RequestsMock, name: str
) -> None:
    query = matchers.query_param_matcher({"name": name, "limit": "1"})
    mock.get(f"{BASE}/applications", json=page(ITEM), match=[query])
    mock.get(f"{BASE}/applications/{APPLICATION_ID}", json=APPLICATION)
    assert client.applications.get(name).id == APPLICATION_ID


def test_a_name_that_is_looked_up_in_vain_is_not_found(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(f"{BASE}/applications", json=page())
    with pytest.raises(NotFoundError, match="'a/b'"):
        client.applications.get("a/b")


def test_names_are_escaped_in_paths(client: ConfigClient, mock: responses.RequestsMock) -> None:
    mock.get(f"{BASE}/applications/50%25%20%3F%23%C3%A4", json=APPLICATION)
    client.applications.get("50% ?#ä")


def test_an_empty_name_is_refused_before_it_becomes_another_path(client: ConfigClient) -> None:
    with pytest.raises(ValueError, match="empty"):
        client.applications.delete("")
    with pytest.raises(ValueError, match="empty"):
        client.configurations.delete("")
    with pytest.raises(ValueError, match="empty"):
        client.application("")


def test_a_configuration_is_read(configuration: Configuration) -> None:
    assert configuration.config == {"pool_size": 10, "hosts": ["a", "b"]}
    assert configuration.updated_at == datetime(2026, 11, 24, 8, tzinfo=UTC)
    assert configuration.updated_at.tzinfo is not None
    assert repr(configuration) == (
        f"<Configuration 'database' {CONFIGURATION_ID} version 3, 2026-11-24 08:00 UTC by ada>"
    )


def test_values_are_read_only_and_their_copies_are_not(configuration: Configuration) -> None:
    with pytest.raises(TypeError, match="read-only"):
        configuration.config["pool_size"] = 1  # type: ignore[index]
    editable = copy.deepcopy(dict(configuration.config))
    editable["hosts"].append("c")
    assert editable["hosts"] == ["a", "b", "c"]


def test_a_configuration_is_created_in_an_application(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.post(f"{BASE}/applications/billing/configurations", json=CONFIGURATION, status=201)
    client.configurations.create("billing", name="database", config={"é": 1})
    assert sent(mock) == {"name": "database", "comments": None, "config": {"é": 1}}


def test_a_read_configuration_can_be_sent_back(
    client: ConfigClient, mock: responses.RequestsMock, configuration: Configuration
) -> None:
    mock.put(f"{BASE}/configurations/{CONFIGURATION_ID}", json=CONFIGURATION)
    client.configurations.replace(
        configuration, name=configuration.name, config=configuration.config
    )
    assert sent(mock)["config"] == CONFIGURATION["config"]
    assert header(mock, "If-Match") == '"3"'


def test_update_of_a_configuration_sends_its_version(
    client: ConfigClient, mock: responses.RequestsMock, configuration: Configuration
) -> None:
    mock.patch(f"{BASE}/configurations/{CONFIGURATION_ID}", json=CONFIGURATION)
    client.configurations.update(configuration, config={"pool_size": 20}, message="load")
    assert sent(mock) == {"config": {"pool_size": 20}, "message": "load"}
    assert header(mock, "If-Match") == '"3"'


def test_a_version_can_be_given_beside_an_id(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.delete(f"{BASE}/configurations/{CONFIGURATION_ID}", status=204)
    client.configurations.delete(CONFIGURATION_ID, version=7)
    assert header(mock, "If-Match") == '"7"'


@pytest.mark.parametrize("verb", ["update", "replace", "delete"])
def test_a_conflict_tells_both_versions(
    client: ConfigClient, mock: responses.RequestsMock, configuration: Configuration, verb: str
) -> None:
    method = {"update": "PATCH", "replace": "PUT", "delete": "DELETE"}[verb]
    mock.add(
        method,
        f"{BASE}/configurations/{CONFIGURATION_ID}",
        status=412,
        json={"detail": "It is now at version 5.", "current_version": 5, "current_etag": '"5"'},
    )
    calls: dict[str, Callable[[], object]] = {
        "update": lambda: client.configurations.update(configuration, config={}),
        "replace": lambda: client.configurations.replace(configuration, name="n", config={}),
        "delete": lambda: client.configurations.delete(configuration),
    }
    with pytest.raises(ConflictError) as caught:
        calls[verb]()
    assert (caught.value.read_version, caught.value.current_version) == (3, 5)


def test_a_list_is_paged_by_cursor(client: ConfigClient, mock: responses.RequestsMock) -> None:
    names = ["a", "b", "c"]
    url = f"{BASE}/applications/billing/configurations"
    items = [{**CONFIGURATION, "name": name} for name in names]
    first = matchers.query_param_matcher({"limit": "2", "q": "x"})
    second = matchers.query_param_matcher({"limit": "2", "q": "x", "after": "cursor"})
    mock.get(url, json=page(*items[:2], after="cursor", total=3), match=[first])
    mock.get(url, json=page(items[2], total=3), match=[second])
    found = client.configurations.list("billing", q="x", page_size=2)
    assert repr(found) == "<configurations: not asked yet>"
    assert next(found).name == "a"
    assert len(mock.calls) == 1
    assert repr(found) == "<configurations: 1 of 3 given>"
    assert [next(found).name, next(found).name] == ["b", "c"]
    assert next(found, None) is None


def test_a_list_can_be_iterated_over_again(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(f"{BASE}/configurations", json=page(CONFIGURATION))
    found = client.configurations.list()
    assert next(found).name == "database"
    for _ in range(2):
        assert [item.name for item in found] == ["database"]
        assert repr(found) == "<configurations: 1 of 1 given>"
    assert next(found, None) is None


def test_a_page_that_fails_is_asked_for_again_and_ends_no_list(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    url = f"{BASE}/configurations"
    mock.get(url, json=page(CONFIGURATION, after="cursor"))
    mock.get(url, status=500)
    mock.get(url, json=page({**CONFIGURATION, "name": "limits"}))
    found = iter(client.configurations.list())
    assert next(found).name == "database"
    with pytest.raises(ServerError):
        next(found)
    assert [item.name for item in found] == ["limits"]


def test_an_empty_page_amid_a_list_does_not_end_it(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(f"{BASE}/configurations", json=page(after="cursor"))
    mock.get(f"{BASE}/configurations", json=page(CONFIGURATION))
    assert len(list(client.configurations.list())) == 1


def test_find_gives_the_one_of_a_name(client: ConfigClient, mock: responses.RequestsMock) -> None:
    query = matchers.query_param_matcher({"name": "database", "limit": "1"})
    url = f"{BASE}/applications/billing/configurations"
    mock.get(url, json=page(CONFIGURATION), match=[query])
    assert client.configurations.find("billing", "database").version == 3


def test_find_of_nothing_is_not_found(client: ConfigClient, mock: responses.RequestsMock) -> None:
    mock.get(f"{BASE}/applications/billing/configurations", json=page())
    with pytest.raises(NotFoundError, match="'database' in 'billing'"):
        client.configurations.find("billing", "database")


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"created_at": "yesterday"},
        {"created_at": "2026-11-24T08:00:00"},
        {"config": []},
        {"version": "x"},
    ],
    ids=repr,
)
def test_an_answer_that_breaks_the_contract_is_a_server_error(
    client: ConfigClient, mock: responses.RequestsMock, change: dict[str, Any]
) -> None:
    mock.get(f"{BASE}/configurations/{CONFIGURATION_ID}", json={**CONFIGURATION, **change})
    with pytest.raises(ServerError, match="the answer lacks something"):
        client.configurations.get(CONFIGURATION_ID)


def test_reprs_say_what_there_is(client: ConfigClient) -> None:
    assert "create, get, list" in repr(client.applications)
    assert "create, get, find" in repr(client.configurations)
    assert repr(KEEP) == "KEEP"


def test_overlays_and_schema_are_read_and_read_only(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    members = {"overlays": {"prod": {"pool_size": 50}}, "schema": {"type": "object"}}
    url = f"{BASE}/configurations/{CONFIGURATION_ID}"
    mock.get(url, json={**CONFIGURATION, **members})
    found = client.configurations.get(CONFIGURATION_ID)
    assert found.overlays == {"prod": {"pool_size": 50}}
    assert found.schema == {"type": "object"}
    with pytest.raises(TypeError, match="read-only"):
        found.overlays["prod"] = {}  # type: ignore[index]


def test_overlays_may_be_empty_and_the_schema_absent(configuration: Configuration) -> None:
    assert (configuration.overlays, configuration.schema) == ({}, None)


def test_overlays_and_schema_are_created_with_the_configuration(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.post(f"{BASE}/applications/billing/configurations", json=CONFIGURATION, status=201)
    client.configurations.create(
        "billing", name="n", config={}, overlays={"prod": {"a": 1}}, schema={"type": "object"}
    )
    assert sent(mock)["overlays"] == {"prod": {"a": 1}}
    assert sent(mock)["schema"] == {"type": "object"}


def test_update_removes_an_overlay_and_the_schema(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.patch(f"{BASE}/configurations/{CONFIGURATION_ID}", json=CONFIGURATION)
    client.configurations.update(CONFIGURATION_ID, overlays={"prod": None}, schema=None)
    assert sent(mock) == {"overlays": {"prod": None}, "schema": None}


def test_replace_leaves_overlays_and_schema_out_unless_they_are_given(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.put(f"{BASE}/configurations/{CONFIGURATION_ID}", json=CONFIGURATION)
    client.configurations.replace(CONFIGURATION_ID, name="n", config={})
    assert sent(mock) == {"name": "n", "comments": None, "config": {}}
    client.configurations.replace(
        CONFIGURATION_ID, name="n", config={}, overlays={"a": {}}, schema={}
    )
    assert (sent(mock)["overlays"], sent(mock)["schema"]) == ({"a": {}}, {})
