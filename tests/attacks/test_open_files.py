"""Open files: their limit bounds the connections, and is no reason to spin or to fall over."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests

from tests.attacks.wire import read_answer
from tests.support.servers import server_process

GET = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"

# A server whose process may open only a few files more than it has at its start.
FEW_FILES = """
import resource, threading
from configsvc_server.serving.limits import Limits
from configsvc_server.serving.server import HttpServer

gate = threading.Event()
entered = threading.Semaphore(0)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/gate":
        entered.release()
        gate.wait(60)
    elif path == "/open-when-ten-are-at-it":
        for _ in range(10):
            entered.acquire(timeout=30)
        gate.set()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

server = HttpServer(app, port=0, threads=60, limits=Limits(max_connections=1000))
free = len(__import__("os").listdir("/dev/fd")) + 16
resource.setrlimit(resource.RLIMIT_NOFILE, (free, free))
print(server.port, flush=True)
server.run()
"""


@contextmanager
def few_files_server() -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    with subprocess.Popen(
        [sys.executable, "-c", FEW_FILES],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process
        finally:
            process.kill()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def test_idle_connections_make_room_where_the_system_has_none() -> None:
    with few_files_server() as (port, _), ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connect(port))
        last = stack.enter_context(connect(port))
        last.sendall(GET % b"/health/live")

        assert read_answer(last).status == 200


def test_connections_at_work_are_finished_before_more_are_accepted() -> None:
    with few_files_server() as (port, process), ExitStack() as stack:
        first = stack.enter_context(connect(port))
        first.sendall(GET % b"/open-when-ten-are-at-it")
        busy = []
        for _ in range(60):
            busy.append(stack.enter_context(connect(port)))
            busy[-1].sendall(GET % b"/gate")
        assert read_answer(first).status == 200

        # Those who were accepted are answered, and in the places they leave, the others.
        assert sum(_is_answered(sock) for sock in busy) >= 10
        with connect(port) as last:
            last.sendall(GET % b"/health/live")
            assert read_answer(last).status == 200
        process.kill()
        assert process.stdout is not None
        assert process.stdout.read().count("connections refused") <= 2


def test_the_connections_fit_the_limit_of_open_files(database_url: str, tmp_path: Path) -> None:
    few = ("sh", "-c", 'ulimit -n 256; exec "$0" "$@"')
    with (
        server_process(
            "--database-url", database_url, "--no-migrate", cwd=tmp_path, prefix=few
        ) as server,
        ExitStack() as stack,
    ):
        port = int(server.url.rpartition(":")[2])
        for _ in range(400):
            stack.enter_context(connect(port)).sendall(b"G")

        assert requests.get(f"{server.url}/health/ready", timeout=30).status_code == 200


def test_a_low_soft_limit_is_raised(database_url: str, tmp_path: Path) -> None:
    low = ("sh", "-c", 'ulimit -S -n 128; exec "$0" "$@"')
    with (
        server_process(
            "--database-url", database_url, "--no-migrate", cwd=tmp_path, prefix=low
        ) as server,
        ExitStack() as stack,
    ):
        port = int(server.url.rpartition(":")[2])
        held = [stack.enter_context(connect(port)) for _ in range(200)]
        for sock in held:
            sock.sendall(GET % b"/health/live")

        assert {read_answer(sock).status for sock in held} == {200}


def _is_answered(sock: socket.socket) -> bool:
    with sock:
        try:
            return read_answer(sock).status == 200
        except (EOFError, ConnectionError):
            # It had not sent its request yet when room was needed.
            return False
