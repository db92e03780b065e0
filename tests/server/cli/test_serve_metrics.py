"""``configsvc serve --metrics``: where the metrics are, and what the start says of it."""

import re
import socket
from pathlib import Path

import pytest
import requests

from tests.server.cli.support import run
from tests.server.telemetry.support import Scrape
from tests.support.servers import ServerProcess, server_process


def _said(server: ServerProcess) -> str:
    found = re.search(r"^  Metrics: +(.*)$", "\n".join(server.output), re.MULTILINE)
    assert found is not None
    return found[1]


def test_by_default_the_port_of_a_local_server_has_them(tmp_path: Path, database_url: str) -> None:
    with server_process("--database-url", database_url, cwd=tmp_path) as server:
        found = Scrape(requests.get(f"{server.url}/metrics", timeout=30).text)
        server.stop()

    assert _said(server).endswith("/metrics")
    assert found.value("configsvc_connections", phase="work") == 1
    assert not [s for s in found.samples if s.name.startswith("configsvc_embedded_postgres")]


def test_a_port_of_their_own_has_them_alone_and_ends_with_the_server(
    tmp_path: Path, database_url: str
) -> None:
    flags = ("--database-url", database_url, "--metrics", "127.0.0.1:0")
    with server_process(*flags, cwd=tmp_path) as server:
        assert requests.get(f"{server.url}/metrics", timeout=30).status_code == 404
        server.output += _until_said(server)
        url = _said(server).replace("localhost", "127.0.0.1")
        with requests.Session() as scraper:
            assert scraper.get(url, timeout=30).status_code == 200
            assert server.stop() == 0


def test_a_server_for_others_says_how_to_open_them(tmp_path: Path, database_url: str) -> None:
    flags = ("--database-url", database_url, "--host", "0.0.0.0", "--auth", "required")
    with server_process(*flags, cwd=tmp_path) as server:
        status = requests.get(f"{server.url}/metrics", timeout=30).status_code
        server.stop()

    assert status == 404
    assert _said(server) == "off (--metrics on, or --metrics 0.0.0.0:9464 for a port of their own)"


def test_a_port_that_is_taken_fails_the_start_in_one_line(
    tmp_path: Path, database_url: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(
            "serve",
            *("--port", "0", "--database-url", database_url, "--metrics", f"127.0.0.1:{port}"),
            cwd=tmp_path,
        )

    assert ended.returncode == 1
    assert f"can't listen on 127.0.0.1 port {port}" in ended.stderr


@pytest.mark.parametrize("given", ["9464", "everywhere"])
def test_what_is_no_place_fails_the_start_in_one_line(tmp_path: Path, given: str) -> None:
    ended = run("serve", "--metrics", given, cwd=tmp_path)

    assert ended.returncode != 0
    assert "--metrics" in ended.stderr
    assert "must be on, off, auto, or an address" in ended.stderr


def _until_said(server: ServerProcess) -> list[str]:
    """Return the lines up to the one about metrics, which come after that of the address."""
    assert server.process.stdout is not None
    lines: list[str] = []
    for line in server.process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("  Metrics:"):
            break
    return lines
