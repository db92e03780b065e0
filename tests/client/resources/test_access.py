"""Tokens and grants: what is sent, and what is made of the answers."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import responses

from configsvc_client import ConfigClient, Grant, ServerError
from tests.client.documents import APPLICATION_ID, BASE, CHANGE, header, page, sent
from tests.client.http.test_credentials import SECRET

TOKEN_ID = "01K9YV5C7W3V0Y1Q3W6M8N2B4F"
GRANT: dict[str, Any] = {
    "role": "releaser",
    "application_id": APPLICATION_ID,
    "application": "billing",
    "environment": "prod",
}
TOKEN: dict[str, Any] = {
    "id": TOKEN_ID,
    "name": "deploy",
    "hint": "t0k3",
    "grants": [GRANT],
    "created_at": "2026-11-24T08:00:00.000000Z",
    "created_by": "corp:ada",
    "expires_at": None,
    "rotated_at": None,
    "previous_expires_at": None,
    "last_used_at": "2026-11-24T09:00:00.000000+01:00",
    "last_used_address": "192.0.2.1",
    "last_used_client": "configsvc-client/1",
}


@pytest.fixture
def client() -> ConfigClient:
    return ConfigClient("http://server", retries=0)


def test_a_token_is_created_with_what_is_said(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.post(f"{BASE}/tokens", json={**TOKEN, "token": SECRET}, status=201)
    created = client.tokens.create(
        name="deploy",
        grants=[Grant("releaser", "billing", "prod"), Grant("reader")],
        expires_at=datetime(2027, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        message="for CI",
    )
    assert sent(mock) == {
        "name": "deploy",
        "grants": [
            {"role": "releaser", "application": "billing", "environment": "prod"},
            {"role": "reader"},
        ],
        "expires_at": "2027-01-01T00:00:00Z",
        "message": "for CI",
    }
    assert created.token == SECRET
    assert SECRET not in repr(created)
    assert repr(created) == f"<CreatedToken 'deploy' {TOKEN_ID}: releaser on billing/prod>"


def test_a_grant_that_was_read_is_sent_by_the_id_of_its_application(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(f"{BASE}/tokens/{TOKEN_ID}", json=TOKEN)
    mock.post(f"{BASE}/tokens", json={**TOKEN, "token": SECRET})
    found = client.tokens.get(TOKEN_ID)
    assert found.last_used_at == datetime(2026, 11, 24, 8, tzinfo=UTC)
    client.tokens.create(name="another", grants=found.grants)
    assert sent(mock)["grants"][0]["application"] == APPLICATION_ID


@pytest.mark.parametrize(
    ("given", "body"),
    [
        ({}, {}),
        ({"overlap": timedelta(0)}, {"overlap": 0}),
        ({"overlap": timedelta(seconds=1.5)}, {"overlap": 2}),
        ({"expires_at": None}, {"expires_at": None}),
        (
            {"overlap": timedelta(hours=1), "expires_at": datetime(2027, 1, 1, tzinfo=UTC)},
            {"overlap": 3600, "expires_at": "2027-01-01T00:00:00Z"},
        ),
    ],
)
def test_a_rotation_sends_what_is_said(
    client: ConfigClient,
    mock: responses.RequestsMock,
    given: dict[str, Any],
    body: dict[str, Any],
) -> None:
    mock.post(f"{BASE}/tokens/{TOKEN_ID}/rotate", json={**TOKEN, "token": SECRET})
    assert client.tokens.rotate(TOKEN_ID, **given).token == SECRET
    assert sent(mock) == body


def test_a_naive_time_of_expiry_is_refused(client: ConfigClient) -> None:
    naive = datetime(2027, 1, 1)  # noqa: DTZ001 - that is the point
    with pytest.raises(ValueError, match="time zone"):
        client.tokens.create(name="deploy", grants=[Grant("reader")], expires_at=naive)
    with pytest.raises(ValueError, match="time zone"):
        client.tokens.rotate(TOKEN_ID, expires_at=naive)


@pytest.mark.parametrize("key", ["", ".", ".."])
def test_an_id_that_would_lead_elsewhere_is_refused(client: ConfigClient, key: str) -> None:
    with pytest.raises(ValueError, match="can't be empty"):
        client.tokens.delete(key)
    with pytest.raises(ValueError, match="can't be empty"):
        client.grants.delete(key)


def test_a_token_is_revoked_with_a_reason(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.delete(f"{BASE}/tokens/{TOKEN_ID}", status=204)
    client.tokens.delete(TOKEN_ID, message="it was in a log")
    assert header(mock, "X-Change-Message") == b"it was in a log"


def test_an_answer_that_lacks_something_shows_no_token(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    broken = {name: value for name, value in TOKEN.items() if name != "hint"}
    mock.post(f"{BASE}/tokens", json={**broken, "token": SECRET}, status=201)
    with pytest.raises(ServerError, match="lacks something") as caught:
        client.tokens.create(name="deploy", grants=[Grant("reader")])
    assert SECRET not in str(caught.value) + repr(vars(caught.value))


def test_a_grant_is_given(client: ConfigClient, mock: responses.RequestsMock) -> None:
    answer = {
        "id": TOKEN_ID,
        "principal": "group:corp:payments",
        **GRANT,
        "created_at": TOKEN["created_at"],
        "created_by": "corp:ada",
    }
    mock.post(f"{BASE}/grants", json=answer, status=201)
    mock.get(f"{BASE}/grants", json=page(answer))
    granted = client.grants.create("group:corp:payments", "releaser", "billing", "prod")
    assert sent(mock) == {
        "principal": "group:corp:payments",
        "role": "releaser",
        "application": "billing",
        "environment": "prod",
    }
    assert list(client.grants.list(principal="group:corp:payments")) == [granted]
    assert mock.calls[-1].request.params["principal"] == "group:corp:payments"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("token", "expires_at"),
    [
        (None, None),
        ({"id": TOKEN_ID, "name": "deploy", "expires_at": "2027-01-01T00:00:00Z"}, 2027),
    ],
)
def test_a_client_asks_who_it_is(
    client: ConfigClient, mock: responses.RequestsMock, token: Any, expires_at: int | None
) -> None:
    answer = {"kind": "workload", "name": "github:acme/shop@refs/heads/main", "groups": ["g"]}
    rest = {"grants": [GRANT], "token": token, "csrf_token": None, "auth": "required"}
    mock.get(f"{BASE}/me", json=answer | rest)
    me = client.me()
    assert (me.kind, me.groups, me.auth) == ("workload", ("g",), "required")
    assert repr(me) == "<Me 'github:acme/shop@refs/heads/main': releaser on billing/prod>"
    found = None if me.token is None or me.token.expires_at is None else me.token.expires_at.year
    assert found == expires_at


@pytest.mark.parametrize("details", [None, {"principal": "corp:ada", "grants": [GRANT]}])
def test_a_change_may_be_of_no_application(
    client: ConfigClient, mock: responses.RequestsMock, details: Any
) -> None:
    change = {**CHANGE, "entity": "token", "application_id": None, "details": details}
    mock.get(f"{BASE}/changes", json={"items": [change], "next": "7", "has_more": False})
    (found,) = client.changes.list()
    assert (found.application_id, found.details) == (None, details)
