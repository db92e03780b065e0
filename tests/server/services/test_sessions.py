"""Sessions: how they begin, what they are of, and how they end on every server."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from configsvc_server.domain.access.grants import Access, Grant, Role
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.errors import (
    NotFoundError,
    UnauthenticatedError,
)
from configsvc_server.domain.models import Provenance
from configsvc_server.domain.pages import PageRequest, Sort
from configsvc_server.identity.identities import Identity
from configsvc_server.services.sessions import SessionService
from tests.support.sign_in import TOKEN, TOKEN_ID, SignInServer, sign_in_server
from tests.support.waiting import until

ISSUER = {
    "name": "corp",
    "issuer": "https://issuer.example.com",
    "client_id": "configsvc",
    "rules": [{"claims": {"team": "ops"}, "role": "editor"}],
}
ALICE = Identity("corp", "corp:alice", ("group:corp:all",), {"team": "ops"})
BOB = Identity("corp", "corp:bob", (), {})
FIRST_PAGE = PageRequest(limit=50, sort=Sort(("id",)))


@pytest.fixture
def server(database_url: str) -> Iterator[SignInServer]:
    with sign_in_server(database_url, [ISSUER]) as server:
        yield server


def opened(server: SignInServer, who: Identity | Principal = ALICE, **others: str) -> str:
    return server.sessions.open(who, address="192.0.2.1", user_agent="browser", **others).secret


def revoke(server: SignInServer, principal: Principal, session_id: str) -> None:
    provenance = Provenance(principal.name, "r-1", "lost", principal)
    server.sessions.revoke(session_id, provenance=provenance)


def admin() -> Principal:
    grants = (Grant(Role.ADMIN),)
    return Principal("user", "corp:root", Access.of(grants), grants)


def test_a_session_is_of_whom_the_issuer_vouched_for(server: SignInServer) -> None:
    session = server.sessions.authenticate(opened(server))

    assert session.principal.name == "corp:alice"
    assert session.principal.groups == ("group:corp:all",)
    assert session.principal.grants == (Grant(Role.EDITOR),)


def test_a_changed_grant_counts_at_once(server: SignInServer) -> None:
    secret = opened(server)
    server.sessions.authenticate(secret)

    server.grants["group:corp:all"] = (Grant(Role.ADMIN),)

    assert server.sessions.authenticate(secret).principal.access.installation is Role.ADMIN


def test_the_secret_is_not_kept(server: SignInServer, database_url: str) -> None:
    secret = opened(server)

    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT sessions::text FROM sessions").fetchall()

    assert len(rows) == 1
    assert secret not in str(rows)
    assert server.sessions.authenticate(secret).csrf_token not in str(rows)


@pytest.mark.parametrize("secret", ["", "x", "x" * 43, "\u00e4" * 43, "\ud800" * 43, "x" * 5000])
def test_an_unknown_secret_is_refused(server: SignInServer, secret: str) -> None:
    with pytest.raises(UnauthenticatedError):
        server.sessions.authenticate(secret)


def test_a_new_sign_in_ends_the_session_before(server: SignInServer) -> None:
    first = opened(server)
    server.sessions.authenticate(first)

    second = opened(server, previous=first)

    assert second != first
    server.sessions.authenticate(second)
    with pytest.raises(UnauthenticatedError):
        server.sessions.authenticate(first)


def test_the_end_of_a_session_reaches_every_server(server: SignInServer, database_url: str) -> None:
    secret = opened(server)
    with sign_in_server(database_url, [ISSUER]) as other:
        other.sessions.authenticate(secret)

        server.sessions.close(secret)

        def has_ended() -> bool:
            try:
                other.sessions.authenticate(secret)
            except UnauthenticatedError:
                return True
            return False

        until(has_ended)


def test_the_database_is_asked_while_notifications_may_be_missing(
    server: SignInServer, database_url: str
) -> None:
    secret = opened(server)
    server.sessions.authenticate(secret)
    # As if the connection of the listener were gone, with what this tells of not heard.
    server.heartbeat.stop()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE sessions DISABLE TRIGGER sessions_notify")
        connection.execute("DELETE FROM sessions")
        connection.execute("ALTER TABLE sessions ENABLE TRIGGER sessions_notify")

    server.heartbeat.stop()
    with pytest.raises(UnauthenticatedError):
        server.sessions.authenticate(secret)


@pytest.mark.parametrize("column", ["expires_at", "last_seen_at"])
def test_a_session_ends_by_itself(server: SignInServer, database_url: str, column: str) -> None:
    secret = opened(server)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"UPDATE sessions SET {column} = now() - interval '1 day'".encode())

    with pytest.raises(UnauthenticatedError):
        server.sessions.authenticate(secret)
    assert server.sessions.list(admin(), FIRST_PAGE).items == []


def test_use_elsewhere_keeps_a_session(server: SignInServer, database_url: str) -> None:
    with sign_in_server(database_url, [ISSUER], idle_timeout=3600.0) as other:
        secret = opened(other)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("UPDATE sessions SET last_seen_at = now() - interval '59 min'")
        other.sessions.authenticate(secret)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("UPDATE sessions SET last_seen_at = now() + interval '1 min'")
        shorter = SessionService(
            other.sessions._database,
            other.cache,
            other.identities,
            token_principal=lambda _secret_hash: None,
            idle_timeout=60.0,
        )

        assert shorter.authenticate(secret).principal.name == "corp:alice"


def test_use_is_recorded_at_most_once_a_minute(server: SignInServer, database_url: str) -> None:
    secret = opened(server)

    for number in range(5):
        server.sessions.authenticate(secret, address=f"192.0.2.{10 + number}", user_agent="x\ny")

    (stored,) = server.sessions.list(admin(), FIRST_PAGE).items
    assert (stored.address, stored.user_agent) == ("192.0.2.10", "xy")


def test_a_session_of_a_token_ends_with_the_token(server: SignInServer) -> None:
    secret = opened(server, server.tokens[TOKEN_ID], token=TOKEN)
    assert server.sessions.authenticate(secret).principal.name == "token:ci"

    del server.tokens[TOKEN_ID]

    with pytest.raises(UnauthenticatedError):
        server.sessions.authenticate(secret)


def test_one_sees_and_ends_ones_own_sessions(server: SignInServer) -> None:
    secret, other = opened(server), opened(server, BOB)
    alice = server.sessions.authenticate(secret)
    bob = server.sessions.authenticate(other)

    assert [s.id for s in server.sessions.list(alice.principal, FIRST_PAGE).items] == [alice.id]
    with pytest.raises(NotFoundError):
        revoke(server, alice.principal, bob.id)
    server.sessions.authenticate(other)
    revoke(server, alice.principal, alice.id)

    with pytest.raises(UnauthenticatedError):
        server.sessions.authenticate(secret)


def test_an_administrator_sees_and_ends_all(server: SignInServer) -> None:
    secret = opened(server)
    opened(server, BOB)
    session = server.sessions.authenticate(secret)

    assert len(server.sessions.list(admin(), FIRST_PAGE).items) == 2
    revoke(server, admin(), session.id.lower())

    with pytest.raises(UnauthenticatedError):
        server.sessions.authenticate(secret)


@pytest.mark.parametrize("session_id", ["x", "", "0" * 26, "\0"])
def test_there_is_no_such_session(server: SignInServer, session_id: str) -> None:
    with pytest.raises(NotFoundError):
        revoke(server, admin(), session_id)


def test_sessions_of_one_person_are_bounded(
    server: SignInServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionService, "MAX_PER_PRINCIPAL", 2)
    secrets = [opened(server) for _ in range(3)]

    assert len(server.sessions.list(admin(), FIRST_PAGE).items) == 2
    server.sessions.authenticate(secrets[-1])


def test_what_is_over_goes_when_somebody_signs_in(server: SignInServer, database_url: str) -> None:
    opened(server, BOB)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE sessions SET expires_at = %s + now()", [timedelta(days=-1)])

        opened(server)

        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (1,)
