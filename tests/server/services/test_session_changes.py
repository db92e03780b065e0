"""Audit trail of sessions: who has signed in and out, and who has ended whose session."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from limits import RateLimitItemPerMinute
from psycopg.rows import dict_row

from configsvc_server.domain.access.grants import Access, Grant, Role
from configsvc_server.domain.access.principals import NOBODY, Principal
from configsvc_server.domain.errors import NotFoundError, TooManyRequestsError
from configsvc_server.domain.models import ChangeNotice, Provenance
from configsvc_server.identity.identities import Identity
from configsvc_server.services.sessions import SessionService
from tests.support.sign_in import TOKEN, TOKEN_ID, SignInServer, sign_in_server

ISSUER = {"name": "corp", "issuer": "https://issuer.example.com", "client_id": "configsvc"}
ALICE = Identity("corp", "corp:alice", (), {})


@pytest.fixture
def server(new_database_url: str) -> Iterator[SignInServer]:
    with sign_in_server(new_database_url, [ISSUER]) as server:
        yield server


def opened(server: SignInServer, who: Identity | Principal = ALICE, **others: str) -> str:
    return server.sessions.open(
        who, address="192.0.2.1", user_agent="browser", request_id="r-1", **others
    ).secret


def id_of(server: SignInServer, secret: str) -> str:
    return server.sessions.authenticate(secret).id


def changes(database_url: str) -> list[dict[str, Any]]:
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        return connection.execute(
            "SELECT action, entity, name, actor, request_id, message, details"
            " FROM changes ORDER BY id"
        ).fetchall()


def test_a_sign_in_at_an_issuer_is_one_entry(server: SignInServer, new_database_url: str) -> None:
    secret = opened(server)

    assert changes(new_database_url) == [
        {
            "action": "create",
            "entity": "session",
            "name": "corp:alice",
            "actor": "corp:alice",
            "request_id": "r-1",
            "message": None,
            "details": {
                "principal": "corp:alice",
                "session_id": id_of(server, secret),
                "issuer": "corp",
                "token_id": None,
            },
        }
    ]


def test_a_sign_in_with_a_token_names_the_token(
    server: SignInServer, new_database_url: str
) -> None:
    secret = opened(server, server.tokens[TOKEN_ID], token=TOKEN)

    (change,) = changes(new_database_url)

    assert change["actor"] == "token:ci"
    assert (change["details"]["issuer"], change["details"]["token_id"]) == (None, TOKEN_ID)
    assert secret not in str(change)
    assert TOKEN not in str(change)


def test_a_sign_out_is_an_entry(server: SignInServer, new_database_url: str) -> None:
    secret = opened(server)
    session_id = id_of(server, secret)

    for _ in range(2):  # the second ends nothing
        server.sessions.close(secret, request_id="r-2")

    _, change = changes(new_database_url)
    assert (change["action"], change["actor"], change["request_id"]) == (
        "delete",
        "corp:alice",
        "r-2",
    )
    assert change["details"]["session_id"] == session_id


def test_a_revocation_names_who_revokes_and_whose_session_it_was(
    server: SignInServer, new_database_url: str
) -> None:
    secret = opened(server)
    root = Principal("user", "corp:root", Access.of([Grant(Role.ADMIN)]), (Grant(Role.ADMIN),))

    server.sessions.revoke(
        id_of(server, secret), provenance=Provenance(root.name, "r-3", "lost laptop", root)
    )

    _, change = changes(new_database_url)
    assert (change["action"], change["actor"], change["name"]) == (
        "delete",
        "corp:root",
        "corp:alice",
    )
    assert change["message"] == "lost laptop"


def test_a_revocation_of_nothing_is_no_entry(server: SignInServer, new_database_url: str) -> None:
    secret = opened(server)

    with pytest.raises(NotFoundError):
        server.sessions.revoke(
            id_of(server, secret), provenance=Provenance("corp:bob", principal=NOBODY)
        )

    assert len(changes(new_database_url)) == 1


def test_what_a_sign_in_ends_is_in_its_entry(
    server: SignInServer, new_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionService, "MAX_PER_PRINCIPAL", 2)
    oldest, before = opened(server), opened(server)
    ids = [id_of(server, oldest), id_of(server, before)]

    replacing = opened(server, previous=before)
    opened(server)

    entries = changes(new_database_url)
    assert [entry["action"] for entry in entries] == ["create"] * 4
    assert [entry["details"].get("ended") for entry in entries] == [None, None, [ids[1]], [ids[0]]]
    server.sessions.authenticate(replacing)


def test_sign_ins_of_one_principal_are_bounded(
    server: SignInServer, new_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionService, "MAX_SIGN_INS", RateLimitItemPerMinute(2))
    opened(server)
    opened(server)

    with pytest.raises(TooManyRequestsError, match="corp:alice has signed in 2 times"):
        opened(server)

    opened(server, Identity("corp", "corp:bob", (), {}))
    assert len(changes(new_database_url)) == 3


def test_a_sign_in_has_no_token_looked_up_again(server: SignInServer) -> None:
    """Otherwise whoever signs in all the time would have the database asked by all others."""
    known = server.cache.tokens.get(b"secret", lambda: NotImplemented)

    server.cache.changed(ChangeNotice(None, None, "session", "create", (), "corp:alice"))

    def load() -> Any:
        raise AssertionError

    assert server.cache.tokens.get(b"secret", load) is known
