"""The recorder of polls: delays, and one log line for each outage."""

import logging
import random

import pytest

from configsvc_client import AuthError, ClosedError, ServerError, TransportError
from configsvc_client._http.poll_schedule import PollSchedule
from configsvc_client._http.polling import PollRecorder


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(clock: Clock) -> PollRecorder:
    schedule = PollSchedule(interval=30, long_poll=20, clock=clock, chance=random.Random(0))
    return PollRecorder(
        schedule,
        activity="Polling",
        consequence=lambda: "it goes on",
        is_stopping=lambda: clock.now > 1000,
        clock=clock,
    )


def test_a_request_that_may_not_wait_is_a_plain_one(recorder: PollRecorder) -> None:
    assert (recorder.begin(may_wait=False), recorder.begin()) == (0, 20)


def test_an_outage_is_logged_at_its_beginning_and_its_end(
    recorder: PollRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "configsvc_client"):
        for was_failing in (False, True):
            recorder.begin()
            assert recorder.failed(ServerError("no"), was_failing=was_failing)[1]
        recorder.begin()
        recorder.succeeded(has_change=False, granted=False, was_failing=True)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "Polling failed; it goes on. no"),
        ("DEBUG", "Polling failed; it goes on. no"),
        ("INFO", "Polling works again"),
    ]


def test_the_duration_of_a_request_shows_a_cut(
    recorder: PollRecorder, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.begin()
    clock.now += 10
    _, is_failure = recorder.failed(TransportError("cut"), was_failing=False)
    assert not is_failure
    assert not caplog.records


@pytest.mark.parametrize("kind", [ServerError, AuthError])
def test_retry_after_is_obeyed(recorder: PollRecorder, kind: type[ServerError | AuthError]) -> None:
    error = kind("busy")
    error.retry_after = 50
    recorder.begin()
    assert recorder.failed(error, was_failing=False)[0] >= 50


def test_errors_of_a_poller_that_stops_are_expected(
    recorder: PollRecorder, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.begin()
    assert recorder.failed(ClosedError("closed"), was_failing=False) == (0, False)
    clock.now = 1001
    assert recorder.failed(TransportError("away"), was_failing=False) == (0, False)
    assert not caplog.records
