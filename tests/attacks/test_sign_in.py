"""Attacks on the sign-in: stolen codes, planted sessions, answers to somebody else.

Signing in goes through a provider of somebody else (canaille), with its pages and its tokens.
"""

import base64
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from configsvc_server.domain.access.grants import Grant, Role
from configsvc_server.identity import code_flow
from tests.attacks.sites import (
    ATTEMPT,
    SESSION,
    Place,
    ProviderSite,
    provider_place,
    provider_site,
)
from tests.support.sign_in import TOKEN


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with provider_place() as place:
        yield place


@pytest.fixture
def site(place: Place, database_url: str, tmp_path: Path) -> Iterator[ProviderSite]:
    with provider_site(place, database_url, tmp_path / "secret") as site:
        yield site


@pytest.fixture
def browser() -> Iterator[requests.Session]:
    with requests.Session() as browser:
        yield browser


def test_a_person_signs_in_and_out(site: ProviderSite, browser: requests.Session) -> None:
    answer = site.sign_in(browser)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/docs")
    me = site.me(browser).json()
    # The provider does not say that the address is verified.
    assert me["name"] == "corp:alice"
    assert me["groups"] == ["group:corp:releasers"]
    assert me["roles"] == ["releaser"]
    browser.post(f"{site.url}/auth/sign-out", headers=site.own, timeout=30)
    assert site.me(browser).status_code == 401


def test_who_has_no_role_begins_no_session(site: ProviderSite, browser: requests.Session) -> None:
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
    site: ProviderSite, browser: requests.Session
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


def test_an_answer_without_an_attempt(site: ProviderSite, browser: requests.Session) -> None:
    with requests.Session() as attacker:
        url = site.at_provider(attacker, site.begin(attacker), "mallory")

        # The attacker has the victim open it, so that the victim works in the attacker's name.
        answer = site.come_back(browser, url)

    assert answer.status_code == 401
    assert SESSION not in browser.cookies


@pytest.mark.parametrize("state", ["", "other", None])
def test_an_answer_with_another_state(
    site: ProviderSite, browser: requests.Session, state: str | None
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
    site: ProviderSite, browser: requests.Session
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


def test_a_code_that_was_used(site: ProviderSite, browser: requests.Session) -> None:
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


def test_an_answer_of_another_issuer(site: ProviderSite, browser: requests.Session) -> None:
    url = site.at_provider(browser, site.begin(browser))
    start, _, _ = url.partition("&iss=")

    answer = site.come_back(browser, f"{start}&iss=https%3A%2F%2Fevil.example")

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", "/%09/evil.example"]
)
def test_one_is_not_sent_to_another_server(
    site: ProviderSite, browser: requests.Session, target: str
) -> None:
    url = site.at_provider(browser, site.begin(browser, target))

    answer = site.come_back(browser, url)

    assert answer.status_code == 303, answer.text
    location = answer.headers["Location"]

    assert urlsplit(location).netloc == ""
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))


def test_the_host_of_a_request_does_not_say_where_the_issuer_sends_to(
    site: ProviderSite, browser: requests.Session
) -> None:
    answer = browser.get(
        f"{site.url}/auth/corp/start",
        headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"},
        allow_redirects=False,
        timeout=30,
    )

    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["redirect_uri"] == [f"{site.url}/auth/corp/callback"]


def test_an_attempt_shows_the_issuer_no_verifier(
    site: ProviderSite, browser: requests.Session
) -> None:
    start = site.begin(browser)
    attempt = code_flow.read_attempt(browser.cookies[ATTEMPT])

    assert attempt.verifier not in start
    assert parse_qs(urlsplit(start).query)["code_challenge_method"] == ["S256"]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        *itertools.product(("state", "nonce", "verifier"), ("\ud800", "é", "", 1, None)),
        ("return_to", "\ud800"),
        ("started_at", 10**400),
        ("started_at", "now"),
    ],
)
def test_an_attempt_of_ones_own_making(
    site: ProviderSite, browser: requests.Session, member: str, value: object
) -> None:
    url = site.at_provider(browser, site.begin(browser))
    cookie = browser.cookies[ATTEMPT]
    attempt = json.loads(base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4)))
    forged = base64.urlsafe_b64encode(json.dumps({**attempt, member: value}).encode())

    answer = requests.get(
        url,
        headers={"Cookie": f"{ATTEMPT}={forged.decode().rstrip('=')}"},
        allow_redirects=False,
        timeout=30,
    )

    assert answer.status_code == 401
    assert "has not begun to sign in" in answer.text
