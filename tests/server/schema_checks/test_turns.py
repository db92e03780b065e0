"""Turns of callers at the processes that check schemas."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from configsvc_server.domain.errors import UnavailableError
from configsvc_server.schema_checks.turns import Turns


class Checks:
    """Checks that begin in their turn and end when they are told to."""

    def __init__(self, pool: ThreadPoolExecutor, turns: Turns) -> None:
        self._pool = pool
        self._turns = turns
        self._changed = threading.Condition()
        self._ends: dict[str, threading.Event] = {}
        self.begun: list[str] = []

    def ask(self, name: str) -> Future[None]:
        """Ask for a turn of the caller ``name[0]``; return when that is decided, or waits."""
        before = self._turns.waiting
        asked = self.start(name)
        while self._turns.waiting == before and name not in self.begun and not asked.done():
            threading.Event().wait(0.001)
        return asked

    def start(self, name: str) -> Future[None]:
        """Ask for a turn of the caller ``name[0]``."""
        self._ends[name] = threading.Event()
        return self._pool.submit(self._run, name)

    def end(self, name: str) -> None:
        self._ends[name].set()

    def wait_until_begun(self, *names: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: [*names] == self.begun, 10), self.begun

    def _run(self, name: str) -> None:
        with self._turns.turn(name[0]):
            with self._changed:
                self.begun.append(name)
                self._changed.notify_all()
            assert self._ends[name].wait(60)

    def end_all(self) -> None:
        for end in self._ends.values():
            end.set()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


@pytest.fixture
def checks(pool: ThreadPoolExecutor) -> Iterator[Checks]:
    checks = Checks(pool, Turns(processes=2, max_waiting=4, timeout=60))
    yield checks
    checks.end_all()


def test_one_caller_leaves_a_process_to_the_others(checks: Checks) -> None:
    checks.ask("a1")
    checks.ask("a2")
    checks.ask("b1")

    checks.wait_until_begun("a1", "b1")


def test_callers_take_turns_however_much_each_asks_for(checks: Checks) -> None:
    for name in ("a1", "b1", "c1", "c2", "c3", "d1"):
        checks.ask(name)

    checks.end("a1")
    checks.wait_until_begun("a1", "b1", "c1")
    checks.end("b1")
    checks.wait_until_begun("a1", "b1", "c1", "d1")
    checks.end("d1")
    checks.end("c1")
    checks.wait_until_begun("a1", "b1", "c1", "d1", "c2")


def test_only_so_many_wait_and_the_next_is_refused_at_once(checks: Checks) -> None:
    for number in range(1, 6):
        checks.ask(f"a{number}")

    refused = checks.ask("a6")

    with pytest.raises(UnavailableError, match="Too many schemas are being checked") as caught:
        refused.result(10)
    assert caught.value.retry_after == 1
    assert checks.begun == ["a1"]


def test_a_caller_who_waits_with_much_makes_room_for_one_with_little(checks: Checks) -> None:
    checks.ask("a1")
    checks.ask("b1")
    checks.ask("a2")
    checks.ask("a3")
    checks.ask("a4")
    last = checks.ask("a5")

    other = checks.start("c1")

    with pytest.raises(UnavailableError):
        last.result(10)
    checks.end("b1")
    checks.end("a1")
    checks.end("c1")
    other.result(10)


def test_those_who_wait_with_as_much_as_a_newcomer_stay(checks: Checks) -> None:
    for name in ("a1", "b1", "c1", "d1", "e1", "f1"):
        checks.ask(name)

    with pytest.raises(UnavailableError):
        checks.ask("g1").result(10)


def test_a_check_waits_only_so_long(pool: ThreadPoolExecutor) -> None:
    checks = Checks(pool, Turns(processes=1, max_waiting=1, timeout=0.05))
    checks.ask("a1")
    checks.wait_until_begun("a1")

    with pytest.raises(UnavailableError):
        checks.ask("b1").result(10)
    # Its place in the queue is free again.
    with pytest.raises(UnavailableError):
        checks.ask("b2").result(10)

    checks.end("a1")


def test_a_turn_ends_with_an_error_too(checks: Checks) -> None:
    turns = Turns(processes=1, max_waiting=0, timeout=60)
    with pytest.raises(ZeroDivisionError), turns.turn("a"):
        raise ZeroDivisionError

    with turns.turn("a"):
        pass


def test_closing_refuses_what_waits_and_what_comes(pool: ThreadPoolExecutor) -> None:
    turns = Turns(processes=1, max_waiting=4, timeout=60)
    checks = Checks(pool, turns)
    checks.ask("a1")
    checks.wait_until_begun("a1")
    waiting = checks.ask("b1")

    turns.close()

    for refused in (waiting, checks.ask("c1")):
        with pytest.raises(UnavailableError):
            refused.result(10)
    checks.end_all()
