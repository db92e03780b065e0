"""Metrics of parts in memory: caches, waiters, checks of schemas."""

from collections.abc import Callable

import falcon.testing
import pytest

from configsvc_server.cache.parking import Parking
from configsvc_server.cache.single_flight import SingleFlightCache
from configsvc_server.cache.waiters import ChangeSignal, Waiters
from configsvc_server.db.listener import Heartbeat
from configsvc_server.domain.errors import SchemaTooCostlyError, UnavailableError
from configsvc_server.schema_checks.checker import SchemaChecker
from configsvc_server.telemetry.metrics import Metrics
from tests.server.telemetry.support import scrape

APPLICATIONS = "/api/v1/applications"
SNAPSHOT = f"{APPLICATIONS}/billing/environments/default/snapshot"
# Not cheap: it could take long.
COSTLY = {"type": "string", "pattern": "^(a+)+$"}


class TestCaches:
    @pytest.fixture
    def cache(self) -> SingleFlightCache[str, str]:
        return SingleFlightCache(max_size=10, size_of=len, heartbeat=None)

    def test_a_lookup_is_a_hit_or_a_miss(self, cache: SingleFlightCache[str, str]) -> None:
        for key in ("a", "a", "a", "b"):
            cache.get(key, lambda: "value")

        reading = cache.reading("test", in_bytes=True)
        assert (reading.hits, reading.misses) == (2, 2)
        assert (reading.entries, reading.size, reading.limit) == (2, 10, 10)

    def test_what_is_removed_to_make_room_is_told_apart_from_what_has_changed(
        self, cache: SingleFlightCache[str, str]
    ) -> None:
        for key in ("a", "b", "c", "d"):
            cache.get(key, lambda: "value")
        cache.evict("d")
        cache.evict("nothing")
        cache.clear()

        reading = cache.reading("test", in_bytes=False)
        assert (reading.displaced, reading.changed, reading.entries) == (2, 2, 0)
        assert (reading.size, reading.limit) == (None, None)

    def test_a_served_snapshot_is_in_its_cache(
        self, api: falcon.testing.TestClient, metrics: Metrics
    ) -> None:
        api.simulate_post(APPLICATIONS, json={"name": "billing"})
        for _ in range(3):
            api.simulate_get(SNAPSHOT)

        found = scrape(metrics)
        assert found.value("configsvc_cache_misses_total", cache="snapshots") == 1
        assert found.value("configsvc_cache_hits_total", cache="snapshots") == 2
        assert found.value("configsvc_cache_entries", cache="snapshots") == 1
        assert found.value("configsvc_cache_bytes", cache="snapshots") > 500


class TestWaiters:
    @pytest.fixture
    def heartbeat(self) -> Heartbeat:
        heartbeat = Heartbeat()
        heartbeat.arrived()
        return heartbeat

    def test_who_waits_and_who_may_not_is_counted(self, heartbeat: Heartbeat) -> None:
        waiters = Waiters(ChangeSignal(), limit=1, heartbeat=heartbeat)
        with waiters.slot() as first, waiters.slot() as second:
            reading = waiters.reading()
            assert (first.granted, second.granted) == (True, False)
            assert (reading.waiting, reading.limit, reading.refused_full) == (1, 1, 1)

        assert waiters.reading().waiting == 0

    def test_who_may_not_wait_because_nothing_is_heard_is_counted(self) -> None:
        waiters = Waiters(ChangeSignal(), limit=1, heartbeat=Heartbeat())
        with waiters.slot() as slot:
            assert not slot.granted

        reading = waiters.reading()
        assert (reading.waiting, reading.refused_full, reading.refused_not_listening) == (0, 0, 1)

    def test_the_wake_delay_is_told_after_the_response(self, heartbeat: Heartbeat) -> None:
        seconds: list[float] = []
        signal, parking = ChangeSignal(), Parking(lambda: None)
        waiters = Waiters(signal, limit=1, heartbeat=heartbeat, on_woken=seconds.append)
        _wait(waiters, parking)
        parking.park()

        signal.notify("key")
        assert not seconds
        parking.close()

        assert len(seconds) == 1
        assert seconds[0] >= 0

    @pytest.mark.parametrize("end", ["the time is over", "nothing happened"])
    def test_who_was_not_woken_by_a_change_has_no_wake_delay(
        self, heartbeat: Heartbeat, end: str
    ) -> None:
        seconds: list[float] = []
        signal, parking = ChangeSignal(), Parking(lambda: None)
        waiters = Waiters(signal, limit=1, heartbeat=heartbeat, on_woken=seconds.append)
        _wait(waiters, parking)
        if end == "nothing happened":
            # A change that was no news: the request is put aside again.
            signal.notify("key")
            parking.begin()
        parking.park()

        parking.wake()
        parking.close()

        assert seconds == []


def _wait(waiters: Waiters, parking: Parking) -> None:
    parking.begin()
    with waiters.slot(parking) as slot:
        next(slot.changes("key", timeout=60, is_abandoned=lambda: False))


class TestSchemaChecks:
    @pytest.fixture
    def outcomes(self) -> list[tuple[str, str]]:
        return []

    @pytest.fixture
    def on_check(self, outcomes: list[tuple[str, str]]) -> Callable[[str, str, float], None]:
        def note(outcome: str, place: str, seconds: float) -> None:
            assert seconds >= 0
            outcomes.append((outcome, place))

        return note

    def test_a_check_is_told_by_its_outcome_and_where_it_ran(
        self, outcomes: list[tuple[str, str]], on_check: Callable[[str, str, float], None]
    ) -> None:
        with SchemaChecker(on_check=on_check) as checker:
            checker.check_schema({"type": "string"})
            checker.check_schema({"type": "nonsense"})
            checker.check_values({"type": "string"}, ["a"])
            checker.check_values({"type": "string"}, [1])
            checker.check_values(COSTLY, ["b"])

        assert outcomes == [
            ("passed", "thread"),
            ("violated", "thread"),
            ("passed", "thread"),
            ("violated", "thread"),
            ("violated", "process"),
        ]

    def test_a_check_that_takes_too_much_is_killed(
        self, outcomes: list[tuple[str, str]], on_check: Callable[[str, str, float], None]
    ) -> None:
        with (
            SchemaChecker(timeout=0.5, on_check=on_check) as checker,
            pytest.raises(SchemaTooCostlyError),
        ):
            checker.check_values(COSTLY, ["a" * 40 + "b"])

        assert outcomes == [("killed", "process")]

    def test_a_check_that_may_not_wait_is_refused(
        self, outcomes: list[tuple[str, str]], on_check: Callable[[str, str, float], None]
    ) -> None:
        with SchemaChecker(on_check=on_check) as checker:
            checker.close()
            with pytest.raises(UnavailableError):
                checker.check_values(COSTLY, ["b"])

        assert outcomes == [("refused", "process")]

    def test_all_outcomes_are_shown_from_the_beginning(self, metrics: Metrics) -> None:
        outcomes = {"passed", "violated", "killed", "refused", "failed"}
        assert scrape(metrics).labels("configsvc_schema_checks_total", "outcome") == outcomes
