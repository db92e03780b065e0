"""Attacks by pages of another site, which have a browser send requests."""

from collections.abc import Iterator

import pytest
import requests

from tests.attacks.sites import SESSION, Site, token_site
from tests.support.sign_in import TOKEN


@pytest.fixture
def site(database_url: str) -> Iterator[Site]:
    with token_site(database_url) as site:
        yield site


@pytest.fixture
def browser() -> Iterator[requests.Session]:
    with requests.Session() as browser:
        yield browser


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
