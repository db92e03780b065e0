"""Waiting for a fleet where the server is slow, full, or away."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
import responses

from configsvc_client import (
    AsyncConfigClient,
    ConfigClient,
    Convergence,
    ConvergenceWait,
    ServerError,
)
from configsvc_client._resources.fleet_models import Rejection

URL = "http://server"
BASE = f"{URL}/api/v1/applications/billing"
CONVERGENCE = f"{BASE}/environments/prod/convergence"
VERSION = "a" * 32


def document(state: str = "converging", **members: Any) -> dict[str, Any]:
    counts = {"instances": 3, "current": 1, "behind": 2, "rejecting": 0, "gone": 0}
    return {"version": VERSION, "state": state, **counts, "rejections": [], **members}


@pytest.fixture
def client() -> ConfigClient:
    return ConfigClient(URL, retries=0)


class Time:
    """Clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Time:
    return Time()


Waiting = Callable[..., ConvergenceWait]


@pytest.fixture
def waiting(client: ConfigClient, clock: Time) -> Waiting:
    def make(timeout: float | None = None) -> ConvergenceWait:
        instances = client.instances("billing", "prod")
        return ConvergenceWait(instances, None, timeout, clock, clock.sleep)

    return make


def test_the_first_question_is_what_is_served_now_everywhere(
    mock: responses.RequestsMock, waiting: Waiting
) -> None:
    mock.get(CONVERGENCE, json=document())
    mock.get(CONVERGENCE, json=document("converged", current=3, behind=0))
    wait = waiting()
    wait.step()
    wait.step()
    first, second = (call.request for call in mock.calls)
    assert first.headers["Cache-Control"] == "no-cache"
    assert "Prefer" not in first.headers
    assert second.headers["Prefer"] == "wait=2"
    assert second.url == f"{CONVERGENCE}?version={VERSION}"
    assert wait.is_over
    assert wait.result().state == "converged"


def test_only_what_is_new_is_told(mock: responses.RequestsMock, waiting: Waiting) -> None:
    for current in (1, 1, 2):
        mock.get(CONVERGENCE, json=document(current=current, behind=3 - current))
    wait = waiting()
    told = [wait.step() for _ in range(3)]
    assert [found and found.current for found in told] == [1, None, 2]


def test_where_the_server_does_not_wait_there_is_a_pause(
    mock: responses.RequestsMock, waiting: Waiting, clock: Time
) -> None:
    mock.get(CONVERGENCE, json=document())
    wait = waiting()
    wait.step()
    assert clock.now == 0
    wait.step()
    assert clock.now == pytest.approx(ConvergenceWait.STEP / 2)


def test_it_ends_with_its_time(mock: responses.RequestsMock, waiting: Waiting, clock: Time) -> None:
    mock.get(CONVERGENCE, json=document())
    wait = waiting(timeout=5)
    while not wait.is_over:
        wait.step()
    assert 5 <= clock.now <= 5 + ConvergenceWait.STEP
    assert wait.result().state == "converging"


def test_an_outage_is_waited_for(mock: responses.RequestsMock, waiting: Waiting) -> None:
    mock.get(CONVERGENCE, json=document())
    mock.get(CONVERGENCE, status=503)
    mock.get(CONVERGENCE, body=ConnectionError())
    mock.get(CONVERGENCE, json=document("converged", current=3, behind=0))
    wait = waiting()
    while not wait.is_over:
        wait.step()
    assert wait.result().state == "converged"


def test_an_outage_of_a_minute_is_an_error(
    mock: responses.RequestsMock, waiting: Waiting, clock: Time
) -> None:
    mock.get(CONVERGENCE, status=503)
    wait = waiting()
    while clock.now < ConvergenceWait.LONGEST_OUTAGE:
        assert wait.step() is None
    wait.step()
    with pytest.raises(ServerError):
        wait.step()
    assert clock.now >= ConvergenceWait.LONGEST_OUTAGE


PROMOTION = {"from": "staging", "to": "prod", "released": [], "unchanged": 2}


def test_a_release_is_made_whatever_becomes_of_the_wait(
    mock: responses.RequestsMock, client: ConfigClient, caplog: pytest.LogCaptureFixture
) -> None:
    mock.post(f"{BASE}/promote", json=PROMOTION)
    mock.get(CONVERGENCE, status=404)
    promotion = client.releases.promote("billing", "staging", "prod", wait=True)
    assert promotion.convergence is None
    assert promotion.unchanged == 2
    assert "billing/prod is made, but nobody knows who has it" in caplog.text


def test_progress_is_logged_where_nobody_else_is_told(
    mock: responses.RequestsMock, client: ConfigClient, caplog: pytest.LogCaptureFixture
) -> None:
    mock.post(f"{BASE}/promote", json=PROMOTION)
    mock.get(CONVERGENCE, json=document("converged", current=3, behind=0))
    with caplog.at_level(logging.INFO, "configsvc_client"):
        client.releases.promote("billing", "staging", "prod", wait=5)
    assert "billing/prod: all 3 instances serve this version" in caplog.text


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({}, "1 of 3 instances serves this version, 2 are behind"),
        (
            {
                "instances": 100,
                "current": 97,
                "rejecting": 1,
                "rejections": [
                    {
                        "configuration": "database",
                        "pointer": "/pool/size",
                        "message": "must be an integer",
                        "instances": 1,
                    }
                ],
            },
            "97 of 100 instances serve this version, 2 are behind,"
            " 1 rejects it: database /pool/size must be an integer",
        ),
        ({"rejecting": 2, "behind": 0}, "1 of 3 instances serves this version, 2 reject it: the"),
        ({"behind": 1, "state": "superseded"}, "1 is behind; a newer one is served"),
    ],
)
def test_a_convergence_reads_like_a_sentence(
    mock: responses.RequestsMock, client: ConfigClient, members: dict[str, Any], text: str
) -> None:
    mock.get(CONVERGENCE, json={**document(), **members})
    assert text in repr(client.instances("billing", "prod").convergence())


def test_a_rejection_of_everything_has_no_name() -> None:
    assert repr(Rejection(None, "", "the callback f raised ValueError")) == (
        "<Rejection: the callback f raised ValueError>"
    )


async def _promote(url: str, told: list[object]) -> Any:
    async def tell(found: Convergence) -> None:
        told.append(found)

    async with AsyncConfigClient(url) as client:
        return await client.releases.promote("billing", "staging", "prod", wait=5, on_progress=tell)


def test_an_async_callback_of_progress_is_awaited(mock: responses.RequestsMock) -> None:
    mock.post(f"{BASE}/promote", json=PROMOTION)
    mock.get(CONVERGENCE, json=document("converged", current=3, behind=0))
    told: list[object] = []
    promotion = asyncio.run(_promote(URL, told))
    assert told == [promotion.convergence]
