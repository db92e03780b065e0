"""Format of log lines, and their deferred writing."""

import errno
import io
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
import structlog

from configsvc_server.logs import DeferredStream, configure_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def console(capsys: pytest.CaptureFixture[str]) -> str:
    [handler] = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.stream.close()  # writes what is pending
    return capsys.readouterr().err


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in console(capsys).splitlines()]


class Blocked(io.StringIO):
    """A target whose reader reads nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.released = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        assert self.released.wait(60)
        return super().write(text)


def test_our_lines_and_those_of_libraries_are_json_with_the_context(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(log_format="json")
    structlog.contextvars.bind_contextvars(request_id="r")

    structlog.get_logger().info("ours", a=1)
    logging.getLogger("library").warning("theirs %s", 1)

    ours, theirs = lines(capsys)
    assert (ours["event"], ours["a"], ours["level"]) == ("ours", 1, "info")
    assert (theirs["event"], theirs["logger"]) == ("theirs 1", "library")
    assert ours["request_id"] == theirs["request_id"] == "r"


def test_an_exception_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(log_format="json")

    structlog.get_logger().error("failed", exc_info=ValueError("broken"))

    [line] = lines(capsys)
    assert "ValueError: broken" in line["exception"]


def test_lines_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="warning", log_format="json")

    structlog.get_logger().info("hidden")
    structlog.get_logger().warning("shown")

    assert [line["event"] for line in lines(capsys)] == ["shown"]


def test_on_a_console_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(log_format="console")

    structlog.get_logger().info("ours", a=1)

    text = console(capsys)
    assert "ours" in text
    assert "a=1" in text
    assert not text.startswith("{")


def test_lines_are_written_together_and_in_order() -> None:
    arrived = threading.Event()

    class Stream(io.StringIO):
        def flush(self) -> None:
            arrived.set()

    target = Stream()
    stream = DeferredStream(target)
    for n in range(100):
        stream.write(f"{n}\n")

    assert arrived.wait(10)
    stream.close()
    stream.write("late\n")
    assert target.getvalue().split() == [*map(str, range(100)), "late"]


def test_a_closed_stream_is_ignored() -> None:
    target = io.StringIO()
    stream = DeferredStream(target)
    target.close()

    stream.write("lost\n")
    stream.close()


HOSTILE = "a\x1b[2J\n\r\x7f\x85\x9b\u2028\u202eb"


def test_nothing_in_a_line_for_people_steers_their_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Odd:
        def __repr__(self) -> str:
            return HOSTILE

    configure_logging(log_format="console")

    structlog.get_logger().info(HOSTILE, **{HOSTILE: HOSTILE}, odd=Odd(), listed=[HOSTILE])
    logging.getLogger(HOSTILE).warning("%s", HOSTILE)

    ours, theirs, end = console(capsys).split("\n")
    assert ours.isprintable()
    assert ours.count(r"a\x1b[2J\n\r\x7f\x85\x9b\u2028\u202eb") >= 4
    assert theirs.isprintable()
    assert end == ""


@pytest.mark.parametrize("log", [structlog.get_logger, logging.getLogger])
def test_the_text_of_an_exception_can_not_pass_for_lines_of_the_log(
    capsys: pytest.CaptureFixture[str], log: Callable[[], Any]
) -> None:
    configure_logging(log_format="console")

    log().error("failed", exc_info=ValueError(f"{HOSTILE}\n2026-11-25T02:39:43Z [info] forged"))

    first, *others, end = console(capsys).split("\n")
    assert "failed" in first
    assert [line for line in others if not line.startswith("  ")] == []
    assert [line for line in others if not line.isprintable()] == []
    assert others[-1] == "  2026-11-25T02:39:43Z [info] forged"
    assert end == ""


def test_lines_for_machines_are_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(log_format="json")

    structlog.get_logger().error(HOSTILE, **{HOSTILE: HOSTILE}, exc_info=ValueError(HOSTILE))

    text = console(capsys)
    assert text.isascii()
    assert text.removesuffix("\n").isprintable()
    assert json.loads(text)["event"] == HOSTILE


class TestAReaderThatDoesNotRead:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(DeferredStream, "CLOSE_TIMEOUT", 0.05)
        monkeypatch.setattr(DeferredStream, "MAX_LINES", 10)
        monkeypatch.setattr(DeferredStream, "MAX_CHARACTERS", 1000)

    def test_loses_lines_beyond_a_number_and_is_told_how_many(self) -> None:
        target = Blocked()
        stream = DeferredStream(target, describe_dropped=lambda count: f"{count} dropped\n")
        stream.write("first\n")
        assert target.reached.wait(10)

        for n in range(15):
            stream.write(f"{n}\n")

        target.released.set()
        stream.close()
        assert target.getvalue().split("\n") == ["first", *map(str, range(10)), "5 dropped", ""]

    def test_loses_lines_beyond_an_amount(self) -> None:
        target = Blocked()
        stream = DeferredStream(target, describe_dropped=lambda count: f"{count} dropped\n")
        stream.write("first\n")
        assert target.reached.wait(10)

        for size in (600, 600, 300):
            stream.write("x" * size + "\n")

        target.released.set()
        stream.close()
        assert [len(line) for line in target.getvalue().split("\n")] == [5, 600, 300, 9, 0]

    def test_delays_a_close_only_so_long_and_later_lines_not_at_all(self) -> None:
        target = Blocked()
        stream = DeferredStream(target)
        stream.write("first\n")
        assert target.reached.wait(10)

        stream.close()
        stream.write("late\n")
        stream.close()

        assert target.getvalue() == ""
        target.released.set()

    @pytest.mark.parametrize("log_format", ["json", "console"])
    def test_is_told_in_the_format_of_the_log(
        self,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        log_format: Literal["json", "console"],
    ) -> None:
        target = Blocked()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", target)
            configure_logging(log_format=log_format)
        structlog.get_logger().info("first")
        assert target.reached.wait(10)

        for _ in range(13):
            structlog.get_logger().info("x")

        target.released.set()
        console(capsys)  # closes
        *_, last, end = target.getvalue().split("\n")
        assert end == ""
        assert re.search(r"\d+ log lines were dropped", last)
        if log_format == "json":
            assert json.loads(last)["level"] == "warning"
            assert json.loads(last)["dropped"] == int(json.loads(last)["event"].split()[0])


def test_lines_that_can_not_be_written_are_counted() -> None:
    class Full(io.StringIO):
        space = False

        def write(self, text: str) -> int:
            if not self.space:
                raise OSError(errno.ENOSPC, "no space left")
            return super().write(text)

    target = Full()
    stream = DeferredStream(target, describe_dropped=lambda count: f"{count} dropped\n")
    stream.write("a\n")
    stream.close()

    target.space = True
    stream.write("b\n")

    assert target.getvalue() == "b\n1 dropped\n"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are never non-blocking there")
def test_a_pipe_that_is_non_blocking_loses_nothing() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    text = "x" * 300_000 + "\n"
    with os.fdopen(reader) as source, os.fdopen(writer, "w") as target:
        stream = DeferredStream(target)
        stream.write(text)

        assert source.readline() == text
        stream.close()
