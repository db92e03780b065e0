"""Requests for other host names, as a page gets a browser to send them by DNS rebinding."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from configsvc_server.app import open_services
from configsvc_server.settings import Settings, load_settings
from tests.support.servers import running_server

PATH = "/api/v1/applications"


@contextmanager
def serving(url: str, host: str, names: tuple[str, ...]) -> Iterator[str]:
    """A server that has been told to listen on ``host``."""
    settings = Settings.model_construct(host=host, migrate=False, allowed_hosts=names, auth="off")
    with open_services(settings, url) as runtime, running_server(runtime.app) as server:
        yield server.url


def status(url: str, host: str, path: str = PATH, **headers: str) -> int:
    headers = {"Host": host, **headers}
    return requests.get(f"{url}{path}", headers=headers, timeout=20).status_code


SAFE = (
    "localhost",
    "LocalHost.:8080",
    "billing.localhost:8080",
    "127.0.0.1",
    "10.1.2.3:8080",
    "[::1]:8080",
    "[2001:db8::1]",
)

STRANGE = (
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example, localhost",
    "localhost@evil.example",
    "localhost:8080:evil",
    "[::1].evil.example",
    "[::1",
    "::1",
    "xlocalhost",
    "a" * 5000,
)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
def test_a_server_for_this_machine_answers_for_no_name_of_others(
    database_url: str, address: str
) -> None:
    with serving(database_url, address, ()) as url:
        assert {host: status(url, host) for host in SAFE} == dict.fromkeys(SAFE, 200)
        assert {host: status(url, host) for host in STRANGE} == dict.fromkeys(STRANGE, 421)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_list_adds_names_to_what_is_always_safe(database_url: str, address: str) -> None:
    allowed = ("config.example.com", "Config.Example.COM.:80", "a.internal", "a.b.internal:1")
    refused = ("example.com", "x.config.example.com", "internal", "xinternal", *STRANGE)

    with serving(database_url, address, ("config.example.com", "*.internal")) as url:
        for hosts, expected in ((allowed + SAFE, 200), (refused, 421)):
            assert {host: status(url, host) for host in hosts} == dict.fromkeys(hosts, expected)


def test_a_server_for_all_answers_for_every_name_without_a_list(database_url: str) -> None:
    with serving(database_url, "0.0.0.0", ()) as url:
        assert status(url, "config.example.com") == 200


def test_a_server_for_this_machine_can_be_told_to_answer_for_every_name(database_url: str) -> None:
    with serving(database_url, "127.0.0.1", ("*",)) as url:
        assert status(url, "config.example.com") == 200


def test_a_forwarded_host_does_not_count(database_url: str) -> None:
    with serving(database_url, "127.0.0.1", ("config.example.com",)) as url:
        forwarded = {"X-Forwarded-Host": "config.example.com", "Forwarded": "host=localhost"}
        assert status(url, "evil.example", **forwarded) == 421
        assert status(url, "config.example.com", **{"X-Forwarded-Host": "evil.example"}) == 200


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/health/live/"])
def test_health_checks_are_answered_whatever_they_ask_for(database_url: str, path: str) -> None:
    with serving(database_url, "127.0.0.1", ()) as url:
        assert status(url, "pod.example", path) == 200


def test_the_answer_names_the_header_and_writes_are_refused_too(database_url: str) -> None:
    with serving(database_url, "127.0.0.1", ("secret.example.com",)) as url:
        answer = requests.post(
            f"{url}{PATH}", json={"name": "a"}, headers={"Host": "evil.example"}, timeout=20
        )
        assert requests.get(f"{url}{PATH}", timeout=20).json()["items"] == []

    assert answer.status_code == 421
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:configsvc:problem:misdirected-request"
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    [error] = problem["errors"]
    assert (error["pointer"], error["in"]) == ("/host", "header")
    assert "allowed_hosts" in error["message"]
    assert "secret" not in answer.text


def test_a_list_is_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIGSVC_ALLOWED_HOSTS", "Config.example.com, *.internal")

    assert load_settings().allowed_hosts == ("config.example.com", "*.internal")
