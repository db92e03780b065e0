"""Attacks with tokens (JWT): forged, changed, of somebody else, for somebody else."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from configsvc_server.domain.errors import UnauthenticatedError
from configsvc_server.identity.identities import Identities
from configsvc_server.identity.settings import AuthSettings
from tests.support.issuers import AUDIENCE, StubIssuer, new_key, public, raw_token, stub_issuer


@pytest.fixture
def issuer() -> Iterator[StubIssuer]:
    with stub_issuer() as issuer:
        yield issuer


@pytest.fixture
def identities(issuer: StubIssuer) -> Identities:
    return identities_of(issuer)


def identities_of(issuer: StubIssuer, **settings: Any) -> Identities:
    table = {"name": "corp", "issuer": issuer.url, "audiences": [AUDIENCE], **settings}
    return Identities(
        AuthSettings.model_validate({"issuers": [table]}),
        grants_of=lambda _names: (),
        find_scope=lambda _application, _environment: None,
    )


def refuses(identities: Identities, token: str) -> None:
    for _ in range(2):  # a refused token is not remembered as a good one
        with pytest.raises(UnauthenticatedError):
            identities.authenticate(token)


def test_the_token_of_the_issuer_is_accepted(identities: Identities, issuer: StubIssuer) -> None:
    assert identities.authenticate(issuer.token()).name == "corp:alice"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, ["none"], "RS1", "HS256"])
def test_a_token_without_a_signature(
    identities: Identities, issuer: StubIssuer, algorithm: object
) -> None:
    header = {"alg": algorithm, "kid": "k1"}

    refuses(identities, raw_token(header, issuer.claims()))
    refuses(identities, raw_token(header, issuer.claims(), b"x"))


@pytest.mark.parametrize("form", ["pem", "der", "jwk", "modulus"])
def test_the_public_key_as_a_shared_secret(
    identities: Identities, issuer: StubIssuer, form: str
) -> None:
    published = public(issuer.key)
    assert isinstance(issuer.key, RSAKey)
    secret = {
        "pem": issuer.key.as_pem(private=False),
        "der": issuer.key.as_der(private=False),
        "jwk": json.dumps(published).encode(),
        "modulus": published["n"].encode(),
    }[form]
    # By hand: the library refuses to sign with such a key.
    message = raw_token({"alg": "HS256", "kid": "k1"}, issuer.claims()).rpartition(".")[0]
    digest = hmac.new(secret, message.encode(), hashlib.sha256).digest()

    refuses(identities, f"{message}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}")


def test_a_shared_secret_that_the_issuer_publishes(
    identities: Identities, issuer: StubIssuer
) -> None:
    key = new_key("shared", "oct")
    issuer.published.append(dict(key.as_dict(private=True)))

    refuses(identities, issuer.token(key=key, algorithm="HS256"))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example.com"},
        {"aud": []},
        {"aud": None},
        {"aud": {"a": AUDIENCE}},
        {"aud": AUDIENCE + "/"},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"iss": 1},
        {"iss": ["x"]},
        {"exp": 1},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": int(time.time()) - 60},
        {"nbf": int(time.time()) + 3600},
        {"iat": int(time.time()) + 3600},
        {"sub": None},
        {"sub": 7},
        {"sub": ""},
        {"sub": "a\r\nX-Injected: 1"},
        {"sub": "a\0"},
        {"cnf": {"jkt": "thumbprint"}},
    ],
)
def test_claims_that_are_not_for_us_or_not_now(
    identities: Identities, issuer: StubIssuer, claims: dict[str, Any]
) -> None:
    refuses(identities, issuer.token(**claims))


@pytest.mark.parametrize("name", ["jku", "x5u"])
def test_a_token_that_says_where_its_key_is(
    identities: Identities, issuer: StubIssuer, name: str
) -> None:
    with stub_issuer() as evil:
        key = new_key("evil")
        evil.published = [public(key)]

        refuses(identities, issuer.token(key=key, header={name: f"{evil.url}/jwks"}))
        refuses(identities, issuer.token(header={name: f"{evil.url}/jwks"}))

        assert evil.requests == []


def test_a_token_that_brings_its_key(identities: Identities, issuer: StubIssuer) -> None:
    key = new_key("evil")

    refuses(identities, issuer.token(key=key, header={"jwk": public(key)}))
    refuses(identities, issuer.token(key=key, header={"jwk": public(key), "kid": "k1"}))
    refuses(identities, issuer.token(key=key, header={"kid": "k1"}))
    refuses(identities, issuer.token(key=key, header={"kid": None}))


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"b64": False},
        {"typ": "logout+jwt"},
        {"typ": "dpop+jwt"},
        {"kid": "../../../../dev/null"},
        {"kid": "' OR 1=1 --"},
    ],
)
def test_headers_that_mean_something_else(
    identities: Identities, issuer: StubIssuer, header: dict[str, Any]
) -> None:
    token = issuer.token()
    _, payload, signature = token.split(".")
    full = {"alg": "RS256", "kid": "k1", **header}
    first = base64.urlsafe_b64encode(json.dumps(full).encode()).decode().rstrip("=")

    refuses(identities, f"{first}.{payload}.{signature}")


def test_a_changed_payload(identities: Identities, issuer: StubIssuer) -> None:
    header, _, signature = issuer.token().split(".")
    claims = json.dumps(issuer.claims(sub="root")).encode()
    payload = base64.urlsafe_b64encode(claims).decode().rstrip("=")

    refuses(identities, f"{header}.{payload}.{signature}")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "..",
        "\u00e4.\u00e4.\u00e4",
        "\ud800.a.b",
        "A" * 100_000 + ".b.c",
        raw_token([], []),
        raw_token(None, None),
        raw_token({"alg": "RS256"}, {"iss": None}),
        base64.urlsafe_b64encode(b"[" * 6000).decode() + ".e30.e30",
        base64.urlsafe_b64encode(b"1" * 6000).decode() + ".e30.e30",
    ],
)
def test_what_is_no_token(identities: Identities, token: str) -> None:
    refuses(identities, token)


def test_a_storm_of_unknown_keys_is_no_storm_at_the_issuer(
    identities: Identities, issuer: StubIssuer
) -> None:
    good = issuer.token()
    key = new_key("evil")
    for number in range(30):
        refuses(identities, issuer.token(key=key, header={"kid": f"k{number + 2}"}))
        assert identities.authenticate(good).name == "corp:alice"

    assert issuer.count("/jwks") == 1


def test_an_outage_of_the_issuer_changes_nothing_for_known_keys(
    identities: Identities, issuer: StubIssuer
) -> None:
    identities.authenticate(issuer.token())
    issuer.is_down = True
    identities.issuers["corp"].keys.refresh()

    assert identities.authenticate(issuer.token(sub="bob")).name == "corp:bob"
    refuses(identities, issuer.token(key=new_key("evil")))


def test_another_issuer_does_not_vouch_for_this_one(issuer: StubIssuer) -> None:
    with stub_issuer() as other:
        other.key = new_key("k1")
        other.published = [public(other.key)]
        tables = [
            {"name": "corp", "issuer": issuer.url, "audiences": [AUDIENCE]},
            {"name": "other", "issuer": other.url, "audiences": [AUDIENCE]},
        ]
        identities = Identities(
            AuthSettings.model_validate({"issuers": tables}),
            grants_of=lambda _names: (),
            find_scope=lambda _application, _environment: None,
        )

        assert identities.authenticate(other.token()).name == "other:alice"
        refuses(identities, other.token(iss=issuer.url))
