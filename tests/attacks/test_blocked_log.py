"""Logs that nobody reads, and what a caller writes into them."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.servers import clean_environment, command, server_process

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes can't be filled there")

TIMEOUT = 20
"""Seconds after which something is taken to be blocked."""


def fill(descriptor: int) -> None:
    """Fill a pipe, so that whoever writes to it next has to wait for its reader."""
    os.set_blocking(descriptor, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"-" * 4096)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"-")
    os.set_blocking(descriptor, True)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def answers(url: str) -> set[int]:
    """The statuses of more requests than fit into one write of the log."""
    with requests.Session() as session:
        return {session.get(f"{url}/nothing", timeout=TIMEOUT).status_code for _ in range(200)}


def read_address(reader: int) -> str:
    text = ""
    while (found := re.search(r"answers at http://localhost(:\d+)", text)) is None:
        text += os.read(reader, 4096).decode()
    return f"http://127.0.0.1{found[1]}"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_standard_error_that_nobody_reads_blocks_neither_answers_nor_the_stop(
    tmp_path: Path, database_url: str, pipe: tuple[int, int], log_format: str
) -> None:
    _, writer = pipe
    flags = ["--database-url", database_url, "--port", "0", "--log-format", log_format]
    fill(writer)
    with subprocess.Popen(
        command("serve", *flags),
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=writer,
    ) as process:
        try:
            assert process.stdout is not None
            url = read_address(process.stdout.fileno())

            assert answers(url) == {404}

            process.terminate()
            assert process.wait(TIMEOUT) == 0
        finally:
            process.kill()


def test_an_output_that_nobody_reads_any_more_does_not_block_the_stop(
    tmp_path: Path, database_url: str, pipe: tuple[int, int]
) -> None:
    reader, writer = pipe
    with subprocess.Popen(
        command("serve", "--database-url", database_url, "--port", "0"),
        cwd=tmp_path,
        env=clean_environment(),
        stdout=writer,
        stderr=writer,
    ) as process:
        try:
            url = read_address(reader)
            fill(writer)

            assert answers(url) == {404}

            process.terminate()
            assert process.wait(TIMEOUT) == 0
        finally:
            process.kill()


def test_a_path_can_neither_steer_a_terminal_nor_make_a_line_of_its_own(
    tmp_path: Path, database_url: str
) -> None:
    paths = {
        "a%1b%5B2J": r"a\x1b[2J",
        "b%c2%9b2J": r"b\x9b2J",
        "c%e2%80%a8forged": r"c\u2028forged",
        "d%0d%0aforged": r"d\r\nforged",
    }
    flags = ("--database-url", database_url, "--log-format", "console")
    with server_process(*flags, cwd=tmp_path) as server:
        for path in paths:
            assert requests.get(f"{server.url}/{path}", timeout=TIMEOUT).status_code == 404
        server.stop()

    lines = [line for line in server.output if "path=" in line]
    assert all(line.isprintable() for line in lines)
    assert all(f"path=/{path} " in line for path, line in zip(paths.values(), lines, strict=True))
