"""Principals that ask too often, and addresses that try tokens."""

import falcon.testing
import pytest
from falcon.testing import TestClient

from configsvc_server.app import Runtime
from configsvc_server.domain.access.token_secrets import new_secret
from configsvc_server.settings import Settings
from tests.server.http.support import ok, problem

ME = "/api/v1/me"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings by which a principal may ask a few times an hour."""
    return settings.model_copy(update={"auth": "required", "rate_limit": "30/hour"})


def client(runtime: Runtime, secret: str | None = None) -> TestClient:
    """Make a client; by default with the token of the first start."""
    assert runtime.first_token is not None
    headers = {"Authorization": f"Bearer {secret or runtime.first_token.secret}"}
    return falcon.testing.TestClient(runtime.app, headers=headers)


def test_who_asks_more_often_than_it_may_is_told_when_to_come_back(runtime: Runtime) -> None:
    first = client(runtime)
    grants = [{"role": "reader"}]
    other = ok(first.simulate_post("/api/v1/tokens", json={"name": "o", "grants": grants}), 201)
    left = [int(first.simulate_get(ME).headers["ratelimit-remaining"]) for _ in range(29)]

    refused = first.simulate_get(ME)

    assert left == list(range(28, -1, -1))
    problem(refused, 429)
    assert 0 < int(refused.headers["retry-after"]) <= 3600
    ok(client(runtime, other["token"]).simulate_get(ME))


def test_an_address_that_tries_tokens_is_slowed_and_valid_ones_still_count(
    runtime: Runtime,
) -> None:
    statuses = [client(runtime, new_secret()).simulate_get(ME).status_code for _ in range(25)]

    assert statuses == [401] * 20 + [429] * 5
    ok(client(runtime).simulate_get(ME))
