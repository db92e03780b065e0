"""Keys of issuers: fetched, kept, fetched again."""

import contextlib
import threading
from collections.abc import Callable

import pytest

from configsvc_server.domain.errors import UnauthenticatedError, UnavailableError
from configsvc_server.identity.identities import Identities
from configsvc_server.identity.keys import IssuerKeys
from configsvc_server.identity.settings import IssuerSettings
from tests.support.issuers import AUDIENCE, StubIssuer, new_key, public

Make = Callable[..., Identities]


@pytest.fixture
def keys(issuer: StubIssuer) -> IssuerKeys:
    return IssuerKeys(
        IssuerSettings.model_validate(
            {"name": "corp", "issuer": issuer.url, "audiences": [AUDIENCE]}
        )
    )


def test_keys_are_fetched_once(keys: IssuerKeys, issuer: StubIssuer) -> None:
    for _ in range(3):
        assert len(keys.candidates("k1")) == 1

    assert issuer.count("/jwks") == 1


def test_a_new_key_is_fetched_when_it_is_needed(
    keys: IssuerKeys, issuer: StubIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IssuerKeys, "COOLDOWN", 0.0)
    keys.candidates("k1")
    issuer.published = [public(new_key("k2"))]

    assert len(keys.candidates("k2")) == 1
    assert not keys.candidates("k1")


def test_unknown_keys_are_asked_for_seldom(keys: IssuerKeys, issuer: StubIssuer) -> None:
    keys.candidates("k1")

    for number in range(100):
        assert not keys.candidates(f"made up {number}")

    assert issuer.count("/jwks") == 1


def test_a_crowd_fetches_once(keys: IssuerKeys, issuer: StubIssuer) -> None:
    def ask() -> None:
        with contextlib.suppress(UnavailableError):
            keys.candidates("k1")

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert issuer.count("/jwks") == 1


def test_keys_are_kept_while_the_issuer_is_down(keys: IssuerKeys, issuer: StubIssuer) -> None:
    keys.candidates("k1")
    issuer.is_down = True

    assert keys.refresh()
    assert len(keys.candidates("k1")) == 1


def test_an_issuer_that_was_never_reached_is_an_outage(
    keys: IssuerKeys, issuer: StubIssuer
) -> None:
    issuer.is_down = True

    for _ in range(3):
        with pytest.raises(UnavailableError):
            keys.candidates("k1")

    assert len(issuer.requests) == 1


@pytest.mark.parametrize(
    "body", [b"[]", b"nonsense", b'{"issuer": "https://else.example"}', b"x" * 600_000, b"[" * 9999]
)
def test_an_answer_that_is_none_gives_no_keys(
    keys: IssuerKeys, issuer: StubIssuer, body: bytes
) -> None:
    issuer.body = body

    assert not keys.refresh()


def test_secret_weak_and_broken_keys_are_left_out(keys: IssuerKeys, issuer: StubIssuer) -> None:
    issuer.published += [
        {"kty": "oct", "kid": "shared", "k": "AAAA"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {**public(issuer.key), "kid": "for encryption", "use": "enc"},
        {"kty": "RSA", "kid": "weak", "n": public(issuer.key)["n"][:171], "e": "AQAB"},
        "no key",  # type: ignore[list-item]
    ]

    keys.refresh()

    assert keys.ring is not None
    assert [key.get("kid") for key in keys.ring.keys] == ["k1"]


def test_a_redirect_is_not_followed(issuer: StubIssuer) -> None:
    # The well-known paths of this issuer are at another place than it says.
    keys = IssuerKeys(
        IssuerSettings.model_validate(
            {"name": "corp", "issuer": issuer.url + "/", "audiences": [AUDIENCE]}
        )
    )

    with pytest.raises(UnavailableError):
        keys.candidates("k1")


def test_keys_of_a_withdrawn_key_count_no_more(make_identities: Make, issuer: StubIssuer) -> None:
    identities = make_identities()
    token = issuer.token()
    identities.authenticate(token)
    issuer.published = [public(new_key("k2"))]

    identities.issuers["corp"].keys.refresh()

    with pytest.raises(UnauthenticatedError):
        identities.authenticate(token)


def test_the_background_fetches_keys(make_identities: Make, issuer: StubIssuer) -> None:
    identities = make_identities()
    identities.start()
    try:
        deadline = threading.Event()
        for _ in range(200):
            if identities.issuers["corp"].keys.ring is not None:
                break
            deadline.wait(0.05)
        assert identities.issuers["corp"].keys.ring is not None
    finally:
        identities.stop()
