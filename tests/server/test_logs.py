"""Format of log lines, and their deferred writing."""

import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

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


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    [handler] = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.stream.close()  # writes what is pending
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


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

    text = capsys.readouterr().err
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
