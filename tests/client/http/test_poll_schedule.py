"""The schedule of polls."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configsvc_client._http.poll_schedule import PollSchedule


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def schedule(*, long_poll: float = 30.0, clock: Clock | None = None, seed: int = 0) -> PollSchedule:
    return PollSchedule(
        interval=30.0, long_poll=long_poll, clock=clock or Clock(), chance=random.Random(seed)
    )


def test_the_server_is_asked_to_wait() -> None:
    assert schedule().wait() == 30


def test_long_polls_can_be_turned_off() -> None:
    assert schedule(long_poll=0).wait() == 0


def test_a_granted_wait_is_followed_by_the_next_at_once() -> None:
    subject = schedule()
    assert subject.succeeded(has_change=False, asked=30, granted=True, took=30) == 0
    assert subject.granted


def test_a_change_is_followed_by_the_next_question_at_once() -> None:
    assert schedule().succeeded(has_change=True, asked=30, granted=True, took=1) == 0


def test_the_first_snapshot_is_followed_by_a_long_poll_at_once() -> None:
    assert schedule().succeeded(has_change=True, asked=0, granted=False, took=0.1) == 0


def test_a_probe_is_a_plain_request_that_is_followed_by_a_long_poll_at_once() -> None:
    subject = schedule()
    subject.probe()
    assert subject.wait() == 0
    assert subject.succeeded(has_change=False, asked=0, granted=False, took=0.1) == 0
    assert subject.wait() == 30


@given(st.integers())
def test_without_a_granted_wait_the_interval_is_kept_within_a_tenth(seed: int) -> None:
    delay = schedule(seed=seed).succeeded(has_change=False, asked=30, granted=False, took=0.01)
    assert 27 <= delay <= 33


def test_without_long_polls_the_interval_is_kept_after_changes_too() -> None:
    assert schedule(long_poll=0).succeeded(has_change=True, asked=0, granted=False, took=0.1) >= 27


def test_intervals_differ() -> None:
    delays = {
        schedule(seed=seed).succeeded(has_change=False, asked=30, granted=False, took=0)
        for seed in range(20)
    }
    assert len(delays) == 20


def test_a_wait_that_ends_early_without_news_is_slowed_down_more_and_more() -> None:
    subject = schedule()
    delays = [
        subject.succeeded(has_change=False, asked=30, granted=True, took=0.01) for _ in range(10)
    ]
    assert 0 < delays[0] <= 2
    assert delays[-1] >= 7.5
    assert subject.succeeded(has_change=False, asked=30, granted=True, took=30) == 0


@given(st.integers(), st.integers(1, 50))
def test_failures_back_off_with_full_jitter_up_to_a_minute(seed: int, failures: int) -> None:
    subject = schedule(seed=seed)
    for count in range(1, failures + 1):
        delay, is_failure = subject.failed(asked=0, took=0.1, may_be_cut=True)
        assert is_failure
        assert 0 <= delay <= min(60, 2**count)


@given(st.integers(), st.floats(0, 3600))
def test_retry_after_is_a_lower_bound(seed: int, seconds: float) -> None:
    delay, _ = schedule(seed=seed).failed(asked=0, took=0.1, may_be_cut=False, retry_after=seconds)
    assert seconds <= delay <= max(2, seconds * 1.1)


def test_after_a_failure_a_plain_question_comes_first() -> None:
    subject = schedule()
    subject.failed(asked=30, took=0.1, may_be_cut=True)
    assert subject.wait() == 0
    assert subject.succeeded(has_change=False, asked=0, granted=False, took=0.1) == 0
    assert subject.wait() == 30


def test_a_cut_is_no_failure_and_a_plain_question_follows() -> None:
    subject = schedule()
    delay, is_failure = subject.failed(asked=30, took=20, may_be_cut=True)
    assert not is_failure
    assert delay <= 1
    assert subject.wait() == 0


def test_what_ends_at_once_was_refused_and_not_cut() -> None:
    _, is_failure = schedule().failed(asked=30, took=0.1, may_be_cut=True)
    assert is_failure


def test_a_plain_question_is_never_cut() -> None:
    _, is_failure = schedule().failed(asked=0, took=20, may_be_cut=True)
    assert is_failure


def test_repeated_cuts_lead_to_the_interval_for_ten_minutes() -> None:
    clock = Clock()
    subject = schedule(clock=clock)
    for _ in range(3):
        assert subject.wait() == 30
        subject.failed(asked=30, took=20, may_be_cut=True)
        subject.succeeded(has_change=False, asked=0, granted=False, took=0.1)
    assert subject.wait() == 0
    assert subject.succeeded(has_change=False, asked=0, granted=False, took=0.1) >= 27
    clock.now += 600
    assert subject.wait() == 30


def test_a_long_poll_that_works_forgives_earlier_cuts() -> None:
    subject = schedule()
    for _ in range(10):
        subject.failed(asked=30, took=20, may_be_cut=True)
        subject.succeeded(has_change=False, asked=0, granted=False, took=0.1)
        assert subject.wait() == 30
        subject.succeeded(has_change=False, asked=30, granted=True, took=30)


def test_endless_news_are_slowed_down() -> None:
    subject = schedule()
    delays = [
        subject.succeeded(has_change=True, asked=30, granted=True, took=0.01) for _ in range(200)
    ]
    assert delays[:100] == [0.0] * 100
    assert delays[-1] == pytest.approx(0.1)
    assert subject.succeeded(has_change=True, asked=30, granted=True, took=1) == 0
    assert subject.succeeded(has_change=True, asked=30, granted=True, took=0.01) == 0
