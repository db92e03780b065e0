"""The FastAPI sample: dependencies see a change, and health tells of a rejected one."""

import sys
from collections.abc import Iterator

import pytest
import requests

from tests.examples.conftest import Configure
from tests.hosts.running import ROOT, Command, Place, started
from tests.support.waiting import until

COMMAND = (
    *(sys.executable, "-m", "uvicorn", "--port", "0"),
    *("--app-dir", "examples/fastapi_app", "main:api"),
)


@pytest.fixture
def address(place: Place, configure: Configure) -> Iterator[str]:
    configure("limits", {"per_minute": 60, "largest_invoice": 100})
    configure("features", {"discount": False})
    with started(Command, place, COMMAND, cwd=ROOT) as running:
        yield running.wait_for(r"running on (http://\S+)")[1]
        running.stop()
        assert not running.trouble(None), running.output


def test_it_does_not_start_without_its_configuration(place: Place) -> None:
    with started(Command, place, COMMAND, cwd=ROOT) as running:
        assert running.process.wait(60) != 0
        assert "NotFoundError" in running.output


def test_an_endpoint_has_the_limits_of_this_moment(address: str, configure: Configure) -> None:
    assert requests.get(f"{address}/limits", timeout=10).json()["per_minute"] == 60
    configure("limits", {"per_minute": 90})
    until(lambda: requests.get(f"{address}/limits", timeout=10).json()["per_minute"] == 90)


def test_a_limit_refuses_what_is_too_large(address: str) -> None:
    assert requests.post(f"{address}/invoices?amount=50", timeout=10).json() == {"amount": 50}
    assert requests.post(f"{address}/invoices?amount=101", timeout=10).status_code == 422


def test_a_feature_is_turned_on_while_it_runs(address: str, configure: Configure) -> None:
    configure("features", {"discount": True})
    until(
        lambda: requests.post(f"{address}/invoices?amount=50", timeout=10).json() == {"amount": 45}
    )


def test_limits_that_do_not_fit_change_nothing_and_are_told(
    address: str, configure: Configure
) -> None:
    configure("limits", {"per_minute": 0})
    until(lambda: "limits" in requests.get(f"{address}/health", timeout=10).json()["rejected"])
    assert requests.get(f"{address}/limits", timeout=10).json()["per_minute"] == 60
