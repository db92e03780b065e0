"""Attacks on who somebody is: forged tokens, forged requests, stolen codes.

Signing in goes through a provider of somebody else (canaille), with its pages and its tokens.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from benchmarks.processes import free_port
from joserfc.jwk import RSAKey

from configsvc_server.domain.access.grants import Grant, Role
from configsvc_server.domain.errors import UnauthenticatedError
from configsvc_server.identity import code_flow
from configsvc_server.identity.identities import Identities
from configsvc_server.identity.settings import AuthSettings
from tests.support.issuers import AUDIENCE, StubIssuer, new_key, public, raw_token, stub_issuer
from tests.support.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider, openid_provider
from tests.support.servers import running_server
from tests.support.sign_in import TOKEN, SignInServer, sign_in_server

SESSION = "configsvc-session"
ATTEMPT = "configsvc-sign-in"


# Tokens


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


# Signing in at a provider


@dataclass
class Place:
    """Provider, and the server that people sign in to."""

    provider: OpenIdProvider
    port: int

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"


@dataclass
class Site:
    """Running server over a database of its own."""

    place: Place
    server: SignInServer

    @property
    def url(self) -> str:
        return self.place.url

    @property
    def own(self) -> dict[str, str]:
        return {"Origin": self.url}

    def begin(self, browser: requests.Session, return_to: str = "/docs") -> str:
        answer = browser.get(
            f"{self.url}/auth/corp/start",
            params={"return_to": return_to},
            allow_redirects=False,
            timeout=30,
        )
        assert answer.status_code == 303
        return answer.headers["Location"]

    def at_provider(self, browser: requests.Session, start: str, name: str = "alice") -> str:
        return self.place.provider.sign_in(browser, start, name)

    def come_back(self, browser: requests.Session, url: str) -> requests.Response:
        return browser.get(url, allow_redirects=False, timeout=30)

    def sign_in(self, browser: requests.Session, name: str = "alice") -> requests.Response:
        return self.come_back(browser, self.at_provider(browser, self.begin(browser), name))

    def me(self, browser: requests.Session) -> requests.Response:
        return browser.get(f"{self.url}/api/v1/me", timeout=30)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    port = free_port()
    redirect_uri = f"http://localhost:{port}/auth/corp/callback"
    with openid_provider(free_port(), redirect_uri) as provider:
        yield Place(provider, port)


@pytest.fixture
def site(place: Place, database_url: str, tmp_path: Any) -> Iterator[Site]:
    secret = tmp_path / "secret"
    secret.write_text(CLIENT_SECRET + "\n")
    corp = {
        "name": "corp",
        "issuer": place.provider.url,
        "client_id": CLIENT_ID,
        "client_secret_file": str(secret),
        "scopes": ["openid", "email", "groups"],
        "groups_claim": "groups",
        "rules": [{"claims": {"groups": "releasers"}, "role": "releaser"}],
    }
    with (
        sign_in_server(database_url, [corp], public_url=place.url) as server,
        running_server(server.app, port=place.port),
    ):
        yield Site(place, server)


@pytest.fixture
def browser() -> Iterator[requests.Session]:
    with requests.Session() as browser:
        yield browser


def test_a_person_signs_in_and_out(site: Site, browser: requests.Session) -> None:
    answer = site.sign_in(browser)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/docs")
    me = site.me(browser).json()
    # The provider does not say that the address is verified.
    assert me["name"] == "corp:alice"
    assert me["groups"] == ["group:corp:releasers"]
    assert me["roles"] == ["releaser"]
    browser.post(f"{site.url}/auth/sign-out", headers=site.own, timeout=30)
    assert site.me(browser).status_code == 401


def test_who_has_no_role_begins_no_session(site: Site, browser: requests.Session) -> None:
    answer = site.sign_in(browser, "mallory")

    assert answer.status_code == 403
    assert "corp:mallory has no role here" in answer.text
    assert SESSION not in browser.cookies
    site.server.grants["corp:mallory"] = (Grant(Role.READER),)
    # The provider knows the browser by now, and asks for nothing.
    answer = browser.get(f"{site.url}/auth/corp/start", allow_redirects=False, timeout=30)
    answer = browser.get(answer.headers["Location"], allow_redirects=False, timeout=30)
    assert site.come_back(browser, answer.headers["Location"]).status_code == 303


def test_a_session_that_was_planted_is_not_taken_over(
    site: Site, browser: requests.Session
) -> None:
    with requests.Session() as attacker:
        attacker.post(f"{site.url}/auth/token", data={"token": TOKEN}, headers=site.own, timeout=30)
        planted = attacker.cookies[SESSION]
        browser.cookies.set(SESSION, planted, domain="localhost.local", path="/")

        site.sign_in(browser)

        mine = [c.value for c in browser.cookies if c.name == SESSION and c.value != planted]
        assert len(mine) == 1
        # What the attacker holds is worth nothing: neither the victim's, nor any more one's own.
        if site.me(attacker).status_code != 401:
            assert site.me(attacker).json()["name"] == "token:ci"


def test_an_answer_without_an_attempt(site: Site, browser: requests.Session) -> None:
    with requests.Session() as attacker:
        url = site.at_provider(attacker, site.begin(attacker), "mallory")

        # The attacker has the victim open it, so that the victim works in the attacker's name.
        answer = site.come_back(browser, url)

    assert answer.status_code == 401
    assert SESSION not in browser.cookies


@pytest.mark.parametrize("state", ["", "other", None])
def test_an_answer_with_another_state(
    site: Site, browser: requests.Session, state: str | None
) -> None:
    url = site.at_provider(browser, site.begin(browser))
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    query = {**query, "state": state} if state is not None else {"code": query["code"]}

    answer = browser.get(
        f"{site.url}/auth/corp/callback", params=query, allow_redirects=False, timeout=30
    )

    assert answer.status_code == 401
    assert SESSION not in browser.cookies
    # The attempt is over: the true answer comes too late.
    assert site.come_back(browser, url).status_code == 401


def test_a_code_of_another_person_in_ones_own_attempt(
    site: Site, browser: requests.Session
) -> None:
    """The code is bound to the verifier and the nonce of the browser that it was given to."""
    with requests.Session() as victim:
        stolen = parse_qs(urlsplit(site.at_provider(victim, site.begin(victim))).query)["code"][0]
    state = parse_qs(urlsplit(site.begin(browser)).query)["state"][0]

    answer = browser.get(
        f"{site.url}/auth/corp/callback",
        params={"code": stolen, "state": state},
        allow_redirects=False,
        timeout=30,
    )

    assert answer.status_code in {401, 503}
    assert SESSION not in browser.cookies


def test_a_code_that_was_used(site: Site, browser: requests.Session) -> None:
    start = site.begin(browser)
    attempt = browser.cookies[ATTEMPT]
    url = site.at_provider(browser, start)
    answer = site.come_back(browser, url)
    assert answer.status_code == 303, answer.text

    with requests.Session() as again:
        answer = again.get(
            url, headers={"Cookie": f"{ATTEMPT}={attempt}"}, allow_redirects=False, timeout=30
        )

    assert answer.status_code == 401
    assert SESSION not in again.cookies


def test_an_answer_of_another_issuer(site: Site, browser: requests.Session) -> None:
    url = site.at_provider(browser, site.begin(browser))
    start, _, _ = url.partition("&iss=")

    answer = site.come_back(browser, f"{start}&iss=https%3A%2F%2Fevil.example")

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", "/%09/evil.example"]
)
def test_one_is_not_sent_to_another_server(
    site: Site, browser: requests.Session, target: str
) -> None:
    url = site.at_provider(browser, site.begin(browser, target))

    answer = site.come_back(browser, url)

    assert answer.status_code == 303, answer.text
    location = answer.headers["Location"]

    assert urlsplit(location).netloc == ""
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))


def test_the_host_of_a_request_does_not_say_where_the_issuer_sends_to(
    site: Site, browser: requests.Session
) -> None:
    answer = browser.get(
        f"{site.url}/auth/corp/start",
        headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"},
        allow_redirects=False,
        timeout=30,
    )

    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["redirect_uri"] == [f"{site.url}/auth/corp/callback"]


def test_an_attempt_shows_the_issuer_no_verifier(site: Site, browser: requests.Session) -> None:
    start = site.begin(browser)
    attempt = code_flow.read_attempt(browser.cookies[ATTEMPT])

    assert attempt.verifier not in start
    assert parse_qs(urlsplit(start).query)["code_challenge_method"] == ["S256"]


# Requests that another site has a browser send


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {},
    ],
)
@pytest.mark.parametrize("path", ["/auth/token", "/auth/sign-out"])
def test_a_form_of_another_site(
    site: Site, browser: requests.Session, path: str, headers: dict[str, str]
) -> None:
    answer = browser.post(
        site.url + path, data={"token": TOKEN}, headers=headers, allow_redirects=False, timeout=30
    )

    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:configsvc:problem:csrf"
    assert "Set-Cookie" not in answer.headers


def test_a_write_of_another_site(site: Site, browser: requests.Session) -> None:
    browser.post(f"{site.url}/auth/token", data={"token": TOKEN}, headers=site.own, timeout=30)
    token = site.me(browser).json()["csrf_token"]
    url = f"{site.url}/api/v1/sessions/{'0' * 26}"

    forged = [
        browser.delete(url, timeout=30),
        browser.delete(url, headers={"X-CSRF-Token": ""}, timeout=30),
        browser.delete(url, headers={"X-CSRF-Token": token[:-1]}, timeout=30),
        browser.delete(url, headers={"X-CSRF-Token": "0" * 64}, timeout=30),
        browser.delete(
            url, headers={"X-CSRF-Token": token, "Origin": "https://evil.example"}, timeout=30
        ),
    ]

    assert [answer.status_code for answer in forged] == [403] * 5
    assert browser.delete(url, headers={"X-CSRF-Token": token}, timeout=30).status_code == 404


def test_the_token_of_another_session_shows_nothing(site: Site, browser: requests.Session) -> None:
    with requests.Session() as attacker:
        for each in (browser, attacker):
            each.post(f"{site.url}/auth/token", data={"token": TOKEN}, headers=site.own, timeout=30)
        token = site.me(attacker).json()["csrf_token"]

    answer = browser.delete(
        f"{site.url}/api/v1/sessions/{'0' * 26}", headers={"X-CSRF-Token": token}, timeout=30
    )

    assert answer.status_code == 403


@pytest.mark.parametrize("name", ["token", "access_token", "id_token", "session"])
def test_tokens_in_urls_count_for_nothing(site: Site, browser: requests.Session, name: str) -> None:
    answer = browser.get(f"{site.url}/api/v1/me", params={name: TOKEN}, timeout=30)

    assert answer.status_code == 401


def test_two_cookies_of_one_name_count_for_nothing(site: Site, browser: requests.Session) -> None:
    browser.post(f"{site.url}/auth/token", data={"token": TOKEN}, headers=site.own, timeout=30)
    secret = browser.cookies[SESSION]

    answer = requests.get(
        f"{site.url}/api/v1/me",
        headers={"Cookie": f"{SESSION}=planted; {SESSION}={secret}"},
        timeout=30,
    )

    assert answer.status_code == 401
