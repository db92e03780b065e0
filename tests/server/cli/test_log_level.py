"""``configsvc log-level``: the level of a running server."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.server.cli.support import run
from tests.support.servers import ServerProcess, server_process

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")


def _await_line(server: ServerProcess, text: str) -> None:
    """Read the output up to the line with ``text``."""
    assert server.process.stdout is not None
    for line in server.process.stdout:
        server.output.append(line.rstrip("\n"))
        if text in line:
            return
    raise AssertionError(f"the server has not logged {text}")


def _events(server: ServerProcess, path: str) -> list[str]:
    """Return the lines of requests for a path."""
    return [line for line in server.output if f'"path": "{path}"' in line]


def test_it_changes_how_much_a_server_logs_and_back(tmp_path: Path, database_url: str) -> None:
    with server_process("--database-url", database_url, cwd=tmp_path) as server:
        pid = str(server.process.pid)
        for level, path in (("debug", "/health/live"), ("error", "/a"), ("default", "/b")):
            ended = run("log-level", level, "--pid", pid, cwd=tmp_path)
            assert (ended.returncode, ended.stderr) == (0, "")
            assert ended.stdout == f"Process {pid} logs at the level {level}.\n"
            shown = "info" if level == "default" else level
            _await_line(server, f'"new_level": "{shown}"')
            requests.get(server.url + path, timeout=10)
        requests.get(f"{server.url}/health/ready", timeout=10)
        server.stop()

    assert len(_events(server, "/health/live")) == 1
    assert _events(server, "/a") == []
    assert len(_events(server, "/b")) == 1
    assert _events(server, "/health/ready") == []


def test_it_finds_the_servers_of_a_data_folder(tmp_path: Path, data_dir: Path) -> None:
    flags = ("--data-dir", str(data_dir))
    with server_process(*flags, cwd=tmp_path) as server:
        # What a killed server leaves behind: the process has ended, or is another one now.
        (data_dir / "servers" / str(os.getpid())).touch()
        (data_dir / "servers" / "999999999").touch()

        ended = run("log-level", "debug", *flags, cwd=tmp_path)

        assert ended.stdout == f"Process {server.process.pid} logs at the level debug.\n"
        _await_line(server, '"new_level": "debug"')
        server.stop()
    assert not (data_dir / "servers" / str(server.process.pid)).exists()
    ended = run("log-level", "debug", *flags, cwd=tmp_path)
    assert ended.returncode == 1
    assert "Give the process of the server with --pid" in ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="nothing tells what a process handles there")
def test_a_process_that_is_no_server_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        ended = run("log-level", "debug", "--pid", str(other.pid), cwd=tmp_path)
        assert other.poll() is None
        other.kill()

    assert ended.returncode == 1
    assert f"Process {other.pid} is no configsvc server" in ended.stderr


def test_a_signal_of_another_tool_does_the_same(tmp_path: Path, database_url: str) -> None:
    with server_process("--database-url", database_url, cwd=tmp_path) as server:
        server.process.send_signal(signal.SIGUSR1)
        _await_line(server, '"new_level": "debug"')
        server.process.send_signal(signal.SIGUSR2)
        _await_line(server, '"new_level": "info"')
