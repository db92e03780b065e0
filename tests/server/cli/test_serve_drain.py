"""``configsvc serve --drain-seconds``: what a server that is told to stop does first."""

import signal
from pathlib import Path

import pytest
import requests

from configsvc_server.settings import Settings
from tests.support.servers import ServerProcess, server_process


def _await_draining(server: ServerProcess) -> None:
    """Read the output up to the line that says so."""
    assert server.process.stdout is not None
    for line in server.process.stdout:
        server.output.append(line.rstrip("\n"))
        if line.startswith("Draining"):
            return
    raise AssertionError("the server has not drained")


def test_it_is_not_ready_and_goes_on_serving_until_the_time_is_over(
    tmp_path: Path, database_url: str
) -> None:
    flags = ("--database-url", database_url, "--drain-seconds", "3")
    with server_process(*flags, cwd=tmp_path) as server:
        assert requests.get(f"{server.url}/health/ready", timeout=10).status_code == 200
        server.process.send_signal(signal.SIGTERM)
        _await_draining(server)

        ready = requests.get(f"{server.url}/health/ready", timeout=10)
        created = requests.post(
            f"{server.url}/api/v1/applications", json={"name": "late"}, timeout=10
        )
        assert server.process.wait(30) == 0

    assert (ready.status_code, ready.json()["status"]) == (503, "draining")
    assert created.status_code == 201


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_stops_at_once(tmp_path: Path, database_url: str, second: int) -> None:
    flags = ("--database-url", database_url, "--drain-seconds", "3600")
    with server_process(*flags, cwd=tmp_path) as server:
        server.process.send_signal(signal.SIGTERM)
        _await_draining(server)

        assert server.stop(second) == 0


def test_nobody_waits_for_it_after_ctrl_c(tmp_path: Path, database_url: str) -> None:
    flags = ("--database-url", database_url, "--drain-seconds", "3600")
    with server_process(*flags, cwd=tmp_path) as server:
        assert server.stop(signal.SIGINT) == 0


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 0.0),
        ({"host": "0.0.0.0"}, 5.0),
        ({"host": "0.0.0.0", "drain_seconds": 0.0}, 0.0),
        ({"drain_seconds": 7.5}, 7.5),
    ],
)
def test_by_default_a_server_that_others_reach_drains(
    given: dict[str, object], seconds: float
) -> None:
    assert Settings.model_construct(None, **given).drain_time == seconds
