"""The log of changes: what is asked for, and places to come back to."""

from typing import Any

import pytest
import responses
from responses import matchers

from configsvc_client import ConfigClient, Environment, NotFoundError, ServerError
from configsvc_client._resources.parsing import timestamp
from tests.client.documents import (
    APPLICATION,
    APPLICATION_ID,
    BASE,
    CHANGE,
    CONFIGURATION_ID,
    header,
)

URL = f"{BASE}/changes"


@pytest.fixture
def client() -> ConfigClient:
    return ConfigClient("http://server", retries=0)


def log_page(*ids: int, after: str, has_more: bool = False) -> dict[str, Any]:
    items = [{**CHANGE, "id": number} for number in ids]
    return {"items": items, "limit": 200, "has_more": has_more, "next": after}


def query(**params: str) -> Any:
    return matchers.query_param_matcher({"limit": "200", "sort": "id", **params})


def test_a_change_is_read(client: ConfigClient, mock: responses.RequestsMock) -> None:
    mock.get(URL, json=log_page(7, after="c7"))
    (change,) = client.changes.list()
    assert (change.actor, change.version, change.environments) == ("ada", 3, ("default",))
    assert repr(change) == (
        "<AuditChange 7: update configuration 'database' version 3,"
        " 2026-11-24 08:00 UTC by ada: more load>"
    )


@pytest.mark.parametrize(
    ("members", "shown"),
    [
        ({"entity": "release", "action": "promote"}, "promote 'database' version 3 in 'default'"),
        ({"entity": "application", "version": None}, "update application 'database', 2026"),
    ],
)
def test_a_change_says_what_was_done(
    client: ConfigClient, mock: responses.RequestsMock, members: dict[str, Any], shown: str
) -> None:
    mock.get(URL, json={**log_page(after="c7"), "items": [{**CHANGE, **members}]})
    assert shown in repr(next(client.changes.list()))


def test_the_log_is_read_page_by_page_and_ends(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(URL, json=log_page(1, 2, after="c2", has_more=True), match=[query()])
    mock.get(URL, json=log_page(3, after="c3"), match=[query(after="c2")])
    log = client.changes.list()
    assert [change.id for change in log] == [1, 2, 3]
    assert repr(log) == "<ChangeLog: 3 given>"
    assert log.cursor == "c3"
    assert header(mock, "Prefer") is None


def test_a_log_can_be_iterated_over_again(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(URL, json=log_page(1, 2, after="c2", has_more=True), match=[query()])
    mock.get(URL, json=log_page(3, after="c3"), match=[query(after="c2")])
    log = client.changes.list()
    assert next(log).id == 1
    assert [[change.id for change in log] for _ in range(2)] == [[1, 2, 3], [1, 2, 3]]
    assert [next(log).id, next(log).id, next(log, None)] == [2, 3, None]


@pytest.mark.parametrize("taken", [0, 1, 2, 3])
def test_a_log_goes_on_after_any_change(
    client: ConfigClient, mock: responses.RequestsMock, taken: int
) -> None:
    mock.get(URL, json=log_page(1, 2, after="c2", has_more=True), match=[query()])
    mock.get(URL, json=log_page(3, after="c3"), match=[query(after="c2")])
    mock.get(URL, json=log_page(after="c3"), match=[query(after="c3")])
    mock.assert_all_requests_are_fired = False
    log = client.changes.list()
    before = [next(log).id for _ in range(taken)]
    later = [change.id for change in client.changes.list(after=log.cursor)]
    assert before + later == [1, 2, 3]


def test_a_log_of_the_newest_first_goes_on_after_any_change(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(URL, json=log_page(3, 2, 1, after="c1"), match=[query(sort="-id")])
    log = client.changes.list(newest_first=True)
    assert next(log).id == 3
    later = client.changes.list(newest_first=True, after=log.cursor)
    assert [change.id for change in later] == [2, 1]


def test_all_filters_are_sent(client: ConfigClient, mock: responses.RequestsMock) -> None:
    filters: dict[str, Any] = {"actor": "ada", "action": "update", "entity": "configuration"}
    ids = {"application_id": APPLICATION_ID, "configuration_id": CONFIGURATION_ID}
    mock.get(f"{BASE}/applications/billing", json=APPLICATION)
    mock.get(URL, json=log_page(after="0"), match=[query(**filters, **ids, environment="prod")])
    log = client.changes.list(
        **filters, application="billing", configuration=CONFIGURATION_ID, environment="prod"
    )
    assert list(log) == []


def test_an_environment_knows_its_application(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    now = timestamp("2026-11-24T08:00:00Z")
    prod = Environment(APPLICATION_ID, "prod", 1, False, True, now, now)
    match = [query(application_id=APPLICATION_ID, environment="prod")]
    mock.get(URL, json=log_page(after="0"), match=match)
    assert list(client.changes.list(environment=prod)) == []


def test_the_name_of_an_environment_needs_an_application(client: ConfigClient) -> None:
    with pytest.raises(ValueError, match="Which application"):
        client.changes.list(environment="prod")


def test_a_name_that_is_gone_is_not_found(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(f"{BASE}/applications/billing", status=404, json={})
    with pytest.raises(NotFoundError):
        client.changes.list(application="billing")


def test_a_page_that_breaks_the_contract_is_a_server_error(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(URL, json={**log_page(7, after="c7"), "next": None})
    with pytest.raises(ServerError, match="lacks something"):
        list(client.changes.list())


def test_following_begins_after_the_newest_change(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    match = [matchers.query_param_matcher({"sort": "-id", "limit": "1"})]
    mock.get(URL, json=log_page(7, after="c7", has_more=True), match=match)
    feed = client.changes.follow(actor="ada")
    assert feed.cursor == "c7"
    assert repr(feed) == "<ChangeFeed: 0 given, cursor 'c7'>"


@pytest.mark.parametrize(
    ("arguments", "cursor"),
    [({"after": "c5"}, "c5"), ({"from_start": True}, ""), ({"after": ""}, "")],
)
def test_following_can_begin_elsewhere_without_asking(
    client: ConfigClient, arguments: dict[str, Any], cursor: str
) -> None:
    assert client.changes.follow(**arguments).cursor == cursor


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [({"after": "c5", "from_start": True}, "either"), ({"wait": 61}, "0 to 60")],
)
def test_what_makes_no_sense_is_refused(
    client: ConfigClient, arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        client.changes.follow(**arguments)


def test_a_sign_in_is_read(client: ConfigClient, mock: responses.RequestsMock) -> None:
    session = {
        **CHANGE,
        "action": "create",
        "entity": "session",
        "application_id": None,
        "configuration_id": None,
        "name": "corp:ada@example.com",
        "actor": "corp:ada@example.com",
        "version": None,
        "environments": [],
        "message": None,
        "details": {"principal": "corp:ada@example.com", "session_id": "01", "issuer": "corp"},
    }
    mock.get(
        URL, json={**log_page(after="c7"), "items": [session]}, match=[query(entity="session")]
    )
    (change,) = client.changes.list(entity="session")
    assert "create session 'corp:ada@example.com'" in repr(change)
    assert change.application_id is None
    assert change.details is not None
    assert change.details["issuer"] == "corp"
