"""A server that is frozen within a write: the others go on writing."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import requests

from tests.support.postgres import wait_for_lock
from tests.support.servers import ServerProcess, server_process

APPLICATIONS = "/api/v1/applications"
SAFETY = 60.0
"""Seconds after which an answer does not come any more."""

LARGE = {"text": "x" * 900_000}
"""More than a socket holds while nobody reads it."""


@pytest.fixture
def servers(database_url: str, tmp_path: Path) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Two servers over one database."""
    flags = ("--database-url", database_url, "--no-migrate")
    with server_process(*flags, cwd=tmp_path) as one, server_process(*flags, cwd=tmp_path) as two:
        yield one, two


def freeze(server: ServerProcess) -> None:
    os.kill(server.process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, server.process.pid, os.WSTOPPED)


def create(server: ServerProcess, name: str) -> requests.Response:
    return requests.post(server.url + APPLICATIONS, json={"name": name}, timeout=SAFETY)


def between_statements(server: ServerProcess) -> requests.Response:
    """Write in several statements; after that of the write lock, PostgreSQL waits for the next."""
    return create(server, "frozen")


def within_a_result(server: ServerProcess) -> requests.Response:
    """Write in one statement whose result is large; PostgreSQL waits until it is taken."""
    return requests.post(
        f"{server.url}{APPLICATIONS}/billing/configurations",
        data=json.dumps({"name": "frozen", "config": LARGE}),
        headers={"Content-Type": "application/json"},
        timeout=SAFETY,
    )


@pytest.mark.parametrize("write", [between_statements, within_a_result])
def test_a_server_frozen_within_a_write_does_not_stop_the_writes_of_others(
    servers: tuple[ServerProcess, ServerProcess],
    database_url: str,
    write: Callable[[ServerProcess], requests.Response],
) -> None:
    first, second = servers
    assert create(second, "billing").status_code == 201
    with ThreadPoolExecutor(1) as pool:
        with psycopg.connect(database_url) as holder:
            holder.execute("SELECT configsvc_acquire_write_lock(NULL, NULL, NULL)")
            interrupted = pool.submit(write, first)
            wait_for_lock(database_url)
            freeze(first)
        try:
            # Its session has the write lock now.
            assert create(second, "while frozen").status_code == 201
        finally:
            os.kill(first.process.pid, signal.SIGCONT)
        answer = interrupted.result()

    # What it had begun is undone, and it works again.
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    changes = requests.get(f"{first.url}/api/v1/changes", timeout=SAFETY).json()["items"]
    assert [change["name"] for change in changes] == ["billing", "while frozen"]
    assert write(first).status_code == 201
