"""Metrics of requests: what is counted, by labels of which there are few."""

from typing import Any

import falcon.testing
import pytest

from configsvc_server.app import open_services
from configsvc_server.http.errors import WsgiApp
from configsvc_server.settings import Settings
from configsvc_server.telemetry.metrics import Metrics
from configsvc_server.telemetry.requests import known_method
from tests.server.telemetry.support import Scrape, scrape

APPLICATIONS = "/api/v1/applications"
MAX_SERIES = 800
"""Of a server that all kinds of strangers have called."""


def test_a_request_is_counted_by_its_route_its_method_and_its_status(
    api: falcon.testing.TestClient, metrics: Metrics
) -> None:
    api.simulate_post(APPLICATIONS, json={"name": "billing"})
    api.simulate_get(f"{APPLICATIONS}/billing")
    api.simulate_get(f"{APPLICATIONS}/nobody")

    found = scrape(metrics)
    total = "configsvc_http_requests_total"
    one = f"{APPLICATIONS}/{{application}}"
    assert found.value(total, route=APPLICATIONS, method="POST", status="201") == 1
    assert found.value(total, route=one, method="GET", status="200") == 1
    assert found.value(total, route=one, method="GET", status="404") == 1


def test_the_duration_of_a_request_is_in_exactly_one_bucket(
    api: falcon.testing.TestClient, metrics: Metrics
) -> None:
    api.simulate_get(APPLICATIONS)

    found = scrape(metrics)
    name = "configsvc_http_request_duration_seconds"
    counts = [s.value for s in found.samples if s.name == f"{name}_bucket"]
    assert counts == sorted(counts)
    assert counts[-1] == found.value(f"{name}_count") == 1
    assert 0 < found.value(f"{name}_sum") < 60


def test_the_sizes_of_bodies_are_those_that_are_sent(
    api: falcon.testing.TestClient, metrics: Metrics
) -> None:
    body = b'{"name": "billing"}'
    headers = {"Content-Type": "application/json"}
    created = api.simulate_post(APPLICATIONS, body=body, headers=headers)

    found = scrape(metrics)
    assert found.value("configsvc_http_request_size_bytes_sum", route=APPLICATIONS) == len(body)
    assert found.value("configsvc_http_response_size_bytes_sum", route=APPLICATIONS) == len(
        created.content
    )


@pytest.mark.parametrize(
    ("headers", "kind", "outcome"),
    [
        ({}, "none", "refused"),
        ({"Authorization": "Bearer nonsense"}, "other", "refused"),
        ({"Authorization": "Bearer a.b.c"}, "jwt", "refused"),
        ({"Authorization": "Bearer configsvc_nonsense"}, "token", "refused"),
        ({"Cookie": "configsvc-session=nonsense"}, "session", "refused"),
        ({"Authorization": "Bearer {token}"}, "token", "accepted"),
    ],
)
def test_an_authentication_is_counted_by_what_was_shown_and_what_came_of_it(
    settings: Settings, database_url: str, headers: dict[str, str], kind: str, outcome: str
) -> None:
    secured = settings.model_copy(update={"auth": "required"})
    with open_services(secured, database_url) as runtime:
        assert runtime.first_token is not None
        token = runtime.first_token.secret
        sent = {name: value.format(token=token) for name, value in headers.items()}
        falcon.testing.TestClient(runtime.app).simulate_get(APPLICATIONS, headers=sent)

        found = scrape(runtime.metrics)

    name = "configsvc_authentications_total"
    assert found.value(name, kind=kind, outcome=outcome) == found.value(name) == 1
    assert token not in found.text


def test_a_request_beyond_a_rate_limit_is_counted_by_the_limit(
    settings: Settings, database_url: str
) -> None:
    secured = settings.model_copy(update={"auth": "required", "rate_limit": "2/minute"})
    with open_services(secured, database_url) as runtime:
        client = falcon.testing.TestClient(runtime.app)
        assert runtime.first_token is not None
        good = {"Authorization": f"Bearer {runtime.first_token.secret}"}
        statuses = [client.simulate_get(APPLICATIONS, headers=good).status_code for _ in range(3)]
        bad = {"Authorization": "Bearer nonsense"}
        statuses += [client.simulate_get(APPLICATIONS, headers=bad).status_code for _ in range(21)]

        found = scrape(runtime.metrics)

    assert statuses.count(429) == 2
    name = "configsvc_rate_limited_requests_total"
    assert found.value(name, limit="principal") == 1
    assert found.value(name, limit="failures") == 1
    assert found.value("configsvc_authentications_total", kind="other", outcome="limited") == 1


def test_a_sign_in_is_counted_by_its_way_and_its_outcome(
    settings: Settings, database_url: str
) -> None:
    secured = settings.model_copy(update={"auth": "required"})
    with open_services(secured, database_url) as runtime:
        client = falcon.testing.TestClient(runtime.app)
        assert runtime.first_token is not None
        for token in ("nonsense", runtime.first_token.secret):
            client.simulate_post(
                "/auth/token",
                body=f"token={token}",
                headers={
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Origin": secured.browser_url,
                },
            )

        found = scrape(runtime.metrics)

    assert found.value("configsvc_sign_ins_total", kind="token", outcome="refused") == 1
    assert found.value("configsvc_sign_ins_total", kind="token", outcome="accepted") == 1


@pytest.mark.parametrize("method", ["BREW", "get", "", None, "G" * 5000])
def test_all_methods_that_nobody_knows_are_one(method: str | None) -> None:
    assert known_method(method) == "other"


def test_strangers_do_not_make_series(app: WsgiApp, metrics: Metrics) -> None:
    """10,000 paths, addresses, user agents, tokens, methods and applications are bounded."""
    _call_as_strangers(app, range(500))
    before = _series(scrape(metrics))

    _call_as_strangers(app, range(500, 10_000))

    found = scrape(metrics)
    assert _series(found) == before
    assert len(before) <= MAX_SERIES
    total = "configsvc_http_requests_total"
    assert found.value(total) == 10_000
    assert found.labels(total, "method") == {"GET", "POST", "other"}
    assert found.value(total, route="unmatched") == 5_000


def _call_as_strangers(app: WsgiApp, numbers: range) -> None:
    paths = ("/{}/nowhere", "/api/v1/{}", APPLICATIONS + "/application-{}", "/health/live")
    for number in numbers:
        way = number % len(paths)
        environ = falcon.testing.create_environ(
            paths[way].format(number),
            headers={
                "User-Agent": f"agent/{number}",
                "Authorization": f"Bearer user-{number}",
                "X-Request-ID": f"request-{number}",
            },
            remote_addr=f"10.0.{number // 256}.{number % 256}",
        )
        # Applications are looked for in the database.
        environ["REQUEST_METHOD"] = "GET" if way == 2 else ("GET", "POST", f"M{number}")[number % 3]
        app(environ, falcon.testing.StartResponseMock())


def _series(found: Scrape) -> set[tuple[str, tuple[Any, ...]]]:
    return {
        (s.name, tuple(sorted(s.labels.items())))
        for s in found.samples
        # The server does this by itself, sooner or later.
        if s.labels.get("query") not in {"instances.beat", "instances.clean"}
    }
