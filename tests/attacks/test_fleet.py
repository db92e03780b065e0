"""The fleet when servers are killed and the database is away."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from configsvc_server.db.embedded import EmbeddedPostgres
from tests.support.postgres import FAST
from tests.support.servers import ServerProcess, server_process, start_server_process
from tests.support.waiting import until

ENVIRONMENT = "/api/v1/applications/billing/environments/default"


@pytest.fixture
def postgres(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of the test's own."""
    embedded = EmbeddedPostgres(data_dir, options=FAST)
    yield embedded
    embedded.stop()


def prepare(server: ServerProcess) -> None:
    url = f"{server.url}/api/v1/applications"
    requests.post(url, json={"name": "billing"}, timeout=10).raise_for_status()


def poll(server: ServerProcess, name: str, etag: str = "") -> requests.Response:
    headers = {"Configsvc-Instance": f'id="{name}", interval=1'}
    if etag:
        headers["If-None-Match"] = etag
    return requests.get(f"{server.url}{ENVIRONMENT}/snapshot", headers=headers, timeout=10)


def catch_up(server: ServerProcess, name: str) -> None:
    response = poll(server, name)
    response.raise_for_status()
    assert poll(server, name, response.headers["etag"]).status_code == 304


def convergence(server: ServerProcess) -> dict[str, Any]:
    response = requests.get(f"{server.url}{ENVIRONMENT}/convergence", timeout=10)
    return dict(response.json()) if response.status_code == 200 else {}


def test_the_instances_of_a_killed_server_are_known_to_the_others(
    new_database_url: str, tmp_path: Path
) -> None:
    flags = ("--database-url", new_database_url)
    killed = start_server_process(flags, cwd=tmp_path)
    try:
        with server_process(*flags, cwd=tmp_path) as other:
            prepare(killed)
            for number in range(20):
                catch_up(killed, f"web-{number}")
            until(lambda: convergence(other).get("current") == 20)

            assert killed.stop(signal.SIGKILL) == -signal.SIGKILL

            found = convergence(other)
            assert (found["current"], found["gone"]) == (20, 0)
            # And one that goes on polling there is counted once.
            catch_up(other, "web-7")
            assert convergence(other)["instances"] == 20
    finally:
        killed.stop(signal.SIGKILL)


def test_what_was_seen_before_the_database_was_away_is_written_when_it_is_back(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    url = postgres.start()
    with server_process("--database-url", url, cwd=tmp_path) as server:
        prepare(server)
        catch_up(server, "web-1")
        assert convergence(server)["current"] == 1

        postgres.stop()
        assert until(lambda: poll(server, "web-1").status_code == 503)
        postgres.start()

        assert until(lambda: convergence(server).get("current") == 1)
        assert until(lambda: poll(server, "web-2").status_code == 200)
        assert until(lambda: convergence(server).get("instances") == 2)
    assert sum("fleet" in line for line in server.output) == 0
