"""The fleet in memory: what is new, who is gone, and how much is kept."""

import tracemalloc
from dataclasses import replace

import pytest

from configsvc_server.cache.fleet import Fleet
from configsvc_server.domain.fleet import About, Rejection

PROD = ("01JD8W5Q0Z4T9G7M2N3P4Q5R6S", "prod")
WEB = About("web-1", service="shop", interval=10)
KEY = (*PROD, "web-1")
OLD, NEW = "0" * 32, "1" * 32


class Clock:
    """A clock that stands still unless it is told not to."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fleet(clock: Clock) -> Fleet:
    return Fleet(now=clock)


def poll(fleet: Fleet, serves: str | None = OLD, about: About = WEB) -> None:
    fleet.saw(PROD, about, serves, address="192.0.2.1", principal=None)


def test_a_poll_that_tells_nothing_new_is_no_news(fleet: Fleet) -> None:
    poll(fleet)
    assert fleet.take(10).seen.keys() == {KEY}

    poll(fleet)
    poll(fleet, about=replace(WEB, interval=9))

    assert not fleet.has_news


def test_another_version_is_news(fleet: Fleet, clock: Clock) -> None:
    poll(fleet)
    fleet.take(10)
    clock.time += 5

    poll(fleet, NEW)

    seen = fleet.take(10).seen[KEY]
    assert (seen.serves, seen.changed_at) == (NEW, 1005.0)


def test_a_poll_without_a_condition_does_not_take_away_what_an_instance_serves(
    fleet: Fleet,
) -> None:
    poll(fleet)
    fleet.take(10)

    poll(fleet, None)

    assert not fleet.has_news


def test_what_others_may_know_otherwise_is_told_again_after_a_release(fleet: Fleet) -> None:
    poll(fleet)
    fleet.take(10)
    fleet.has_peers = True
    poll(fleet)
    assert not fleet.has_news

    fleet.environments_changed([PROD])
    poll(fleet)

    assert fleet.take(10).seen[KEY].serves == OLD


@pytest.mark.parametrize(("interval", "seconds"), [(1, 90), (30, 90), (31, 93), (3600, 10800)])
def test_an_instance_is_gone_after_three_missed_polls_and_ninety_seconds(
    fleet: Fleet, clock: Clock, interval: int, seconds: int
) -> None:
    poll(fleet, about=replace(WEB, interval=interval))
    fleet.take(10)

    clock.time += seconds
    fleet.sweep()
    assert not fleet.has_news
    clock.time += 0.1
    fleet.sweep()

    assert fleet.take(10).seen[KEY].is_gone


def test_nobody_is_gone_because_polls_could_not_be_answered(fleet: Fleet, clock: Clock) -> None:
    poll(fleet)
    fleet.take(10)

    clock.time += 1000
    fleet.is_deaf()
    clock.time += 89
    fleet.sweep()
    assert not fleet.has_news
    clock.time += 2
    fleet.sweep()

    assert fleet.take(10).seen[KEY].is_gone


def test_one_that_comes_back_is_not_gone(fleet: Fleet, clock: Clock) -> None:
    poll(fleet)
    clock.time += 100
    fleet.sweep()
    fleet.take(10)

    poll(fleet)

    assert not fleet.take(10).seen[KEY].is_gone


def test_one_that_is_gone_for_a_day_is_forgotten(fleet: Fleet, clock: Clock) -> None:
    poll(fleet)
    clock.time += 100
    fleet.sweep()
    fleet.take(10)

    clock.time += Fleet.KEPT
    fleet.sweep()

    assert len(fleet) == 0
    assert fleet.take(10).forgotten == (KEY,)


def test_an_anonymous_one_is_forgotten_as_soon_as_it_is_gone(fleet: Fleet, clock: Clock) -> None:
    poll(fleet, about=About("connection:192.0.2.1:4711"))
    fleet.take(10)

    clock.time += 91
    fleet.sweep()

    assert fleet.take(10).forgotten == ((*PROD, "connection:192.0.2.1:4711"),)


def test_of_too_many_the_longest_unseen_is_forgotten_everywhere(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fleet, "MAX_INSTANCES", 3)
    for number in (0, 1, 2, 0):
        poll(fleet, about=About(f"web-{number}"))
    fleet.take(10)

    poll(fleet, about=About("web-3"))

    batch = fleet.take(10)
    assert batch.forgotten == ((*PROD, "web-1"),)
    assert batch.seen.keys() == {(*PROD, "web-3")}


def test_what_could_not_be_told_is_told_later(fleet: Fleet) -> None:
    poll(fleet)
    fleet.reported(KEY, OLD, [Rejection("db", "/x", "no")])
    batch = fleet.take(10)
    poll(fleet, NEW)

    fleet.give_back(batch)

    again = fleet.take(10)
    assert again.seen[KEY].serves == NEW
    assert again.reports == batch.reports


def test_reports_that_wait_are_bounded(fleet: Fleet) -> None:
    for number in range(Fleet.MAX_REPORTS):
        assert fleet.reported((*PROD, str(number)), OLD, [])

    assert not fleet.reported((*PROD, "one more"), OLD, [])
    assert fleet.reported((*PROD, "0"), NEW, [])


def test_a_hundred_thousand_instances_take_no_more_memory_than_are_kept(fleet: Fleet) -> None:
    def about(number: int) -> About:
        service, version, sdk, host = (f"{name}{number:099}" for name in "abcd")
        return About(f"{number:064}", service, version, sdk, host)

    tracemalloc.start()
    try:
        for number in range(100_000):
            poll(fleet, about=about(number))
            if number % 1000 == 0:
                fleet.take(5000)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(fleet) == Fleet.MAX_INSTANCES
    assert size < Fleet.MAX_INSTANCES * 1536
