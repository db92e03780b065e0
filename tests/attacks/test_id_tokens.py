"""Attacks with ID tokens at the sign-in: of another attempt, for another client, too old."""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

from configsvc_server.domain.errors import UnauthenticatedError
from configsvc_server.identity.code_flow import ATTEMPT_LIFETIME, Attempt, begin, finish
from configsvc_server.identity.identities import Identity, Issuer
from configsvc_server.identity.settings import IssuerSettings
from configsvc_server.identity.verification import LEEWAY
from tests.support.issuers import StubIssuer, new_key, stub_issuer

CLIENT = "configsvc"
HERE = "https://config.example.com/auth/corp/callback"
SignIn: TypeAlias = Callable[..., Identity]


@pytest.fixture
def stub() -> Iterator[StubIssuer]:
    with stub_issuer() as stub:
        yield stub


@pytest.fixture
def issuer(stub: StubIssuer) -> Issuer:
    return Issuer(IssuerSettings(name="corp", issuer=stub.url, client_id=CLIENT))


@pytest.fixture
def attempt(issuer: Issuer) -> Attempt:
    _, attempt = begin(issuer, redirect_uri=HERE, return_to="/")
    return attempt


@pytest.fixture
def sign_in(stub: StubIssuer, issuer: Issuer, attempt: Attempt) -> SignIn:
    """Finishes the attempt with an ID token of these claims."""

    def finished(*, answering: str | None = None, **claims: Any) -> Identity:
        stub.id_token = stub.token(**{"aud": CLIENT, "nonce": attempt.nonce, **claims})
        return finish(
            issuer,
            attempt,
            state=attempt.state,
            code="code",
            answering=answering,
            redirect_uri=HERE,
        )

    return finished


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"aud": [CLIENT]},
        {"aud": [CLIENT, CLIENT]},
        {"aud": [CLIENT, "other"], "azp": CLIENT},
        {"azp": CLIENT},
    ],
)
def test_the_token_of_the_attempt_is_accepted(sign_in: SignIn, claims: dict[str, Any]) -> None:
    assert sign_in(**claims).name == "corp:alice"


def test_a_token_of_a_minute_ago_is_accepted(sign_in: SignIn) -> None:
    assert sign_in(iat=int(time.time()) - 60).name == "corp:alice"


@pytest.mark.parametrize("nonce", [None, "", "other", 1, ["x"], {"a": 1}, True, "\u00e4"])
def test_a_token_of_another_attempt(sign_in: SignIn, nonce: object) -> None:
    with pytest.raises(UnauthenticatedError, match="another attempt"):
        sign_in(nonce=nonce)


def test_the_nonce_in_a_list(sign_in: SignIn, attempt: Attempt) -> None:
    with pytest.raises(UnauthenticatedError, match="another attempt"):
        sign_in(nonce=[attempt.nonce])


@pytest.mark.parametrize(
    "claims",
    [
        {"azp": "other"},
        {"azp": ""},
        {"azp": [CLIENT]},
        {"aud": [CLIENT, "other"], "azp": "other"},
        {"aud": [CLIENT, "other"]},
        {"aud": ["other", CLIENT], "azp": None},
    ],
)
def test_a_token_for_another_client_too(sign_in: SignIn, claims: dict[str, Any]) -> None:
    with pytest.raises(UnauthenticatedError, match="another client"):
        sign_in(**claims)


@pytest.mark.parametrize(
    "audience", ["other", ["other"], ["other", "another"], [], None, f"{CLIENT} other", [[CLIENT]]]
)
def test_a_token_for_others_alone(sign_in: SignIn, audience: object) -> None:
    with pytest.raises(UnauthenticatedError):
        sign_in(aud=audience, azp=CLIENT)


@pytest.mark.parametrize(
    "issued_at",
    [
        pytest.param(int(time.time()) - ATTEMPT_LIFETIME - LEEWAY - 60, id="just too old"),
        0,
        -1,
        None,
        True,
        "1",
        float("nan"),
    ],
)
def test_a_token_that_was_made_long_ago(sign_in: SignIn, issued_at: object) -> None:
    """However long it is good for."""
    with pytest.raises(UnauthenticatedError):
        sign_in(iat=issued_at)


def test_a_token_of_another_key(sign_in: SignIn, stub: StubIssuer) -> None:
    stub.key = new_key("evil")

    with pytest.raises(UnauthenticatedError, match="known key"):
        sign_in()


def test_a_token_of_another_issuer(sign_in: SignIn) -> None:
    with pytest.raises(UnauthenticatedError):
        sign_in(iss="https://evil.example")


@pytest.mark.parametrize("token", [None, 1, "", "a.b.c"])
def test_an_answer_without_a_token(
    stub: StubIssuer, issuer: Issuer, attempt: Attempt, token: Any
) -> None:
    stub.id_token = token

    with pytest.raises(UnauthenticatedError):
        finish(
            issuer,
            attempt,
            state=attempt.state,
            code="code",
            answering=None,
            redirect_uri=HERE,
        )


@pytest.mark.parametrize("answering", ["https://evil.example", "", "HTTP"])
def test_an_answer_that_names_another_issuer(
    sign_in: SignIn, stub: StubIssuer, answering: str
) -> None:
    with pytest.raises(UnauthenticatedError, match="another issuer"):
        sign_in(answering=answering)
    assert stub.forms == []


def test_an_answer_that_names_no_issuer_where_that_always_names_itself(
    stub: StubIssuer, issuer: Issuer, sign_in: SignIn
) -> None:
    stub.discovery = {"authorization_response_iss_parameter_supported": True}
    issuer.keys.refresh()

    with pytest.raises(UnauthenticatedError, match="which issuer"):
        sign_in()

    # The code was not given away.
    assert stub.forms == []
    assert sign_in(answering=stub.url).name == "corp:alice"
