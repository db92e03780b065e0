"""Turns of callers at something that only so many may use."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from configsvc_server.domain.errors import UnavailableError
from configsvc_server.turns import Turns


def turns_for(at_once: int, *, max_waiting: int, timeout: float = 60) -> Turns:
    return Turns(at_once=at_once, max_waiting=max_waiting, timeout=timeout, refusal="Too many.")


class Work:
    """Work that begins in its turn and ends when it is told to."""

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
def work(pool: ThreadPoolExecutor) -> Iterator[Work]:
    work = Work(pool, turns_for(2, max_waiting=4))
    yield work
    work.end_all()


def test_one_caller_leaves_a_turn_to_the_others(work: Work) -> None:
    work.ask("a1")
    work.ask("a2")
    work.ask("b1")

    work.wait_until_begun("a1", "b1")


def test_callers_take_turns_however_much_each_asks_for(work: Work) -> None:
    for name in ("a1", "b1", "c1", "c2", "c3", "d1"):
        work.ask(name)

    work.end("a1")
    work.wait_until_begun("a1", "b1", "c1")
    work.end("b1")
    work.wait_until_begun("a1", "b1", "c1", "d1")
    work.end("d1")
    work.end("c1")
    work.wait_until_begun("a1", "b1", "c1", "d1", "c2")


def test_only_so_many_wait_and_the_next_is_refused_at_once(work: Work) -> None:
    for number in range(1, 6):
        work.ask(f"a{number}")

    refused = work.ask("a6")

    with pytest.raises(UnavailableError, match="Too many") as caught:
        refused.result(10)
    assert caught.value.retry_after == 1
    assert work.begun == ["a1"]


def test_a_caller_who_waits_with_much_makes_room_for_one_with_little(work: Work) -> None:
    work.ask("a1")
    work.ask("b1")
    work.ask("a2")
    work.ask("a3")
    work.ask("a4")
    last = work.ask("a5")

    other = work.start("c1")

    with pytest.raises(UnavailableError):
        last.result(10)
    work.end("b1")
    work.end("a1")
    work.end("c1")
    other.result(10)


def test_those_who_wait_with_as_much_as_a_newcomer_stay(work: Work) -> None:
    for name in ("a1", "b1", "c1", "d1", "e1", "f1"):
        work.ask(name)

    with pytest.raises(UnavailableError):
        work.ask("g1").result(10)


def test_one_waits_only_so_long(pool: ThreadPoolExecutor) -> None:
    work = Work(pool, turns_for(1, max_waiting=1, timeout=0.05))
    work.ask("a1")
    work.wait_until_begun("a1")

    with pytest.raises(UnavailableError):
        work.ask("b1").result(10)
    # Its place in the queue is free again.
    with pytest.raises(UnavailableError):
        work.ask("b2").result(10)

    work.end("a1")


def test_a_turn_ends_with_an_error_too(work: Work) -> None:
    turns = turns_for(1, max_waiting=0)
    with pytest.raises(ZeroDivisionError), turns.turn("a"):
        raise ZeroDivisionError

    with turns.turn("a"):
        pass


def test_closing_refuses_what_waits_and_what_comes(pool: ThreadPoolExecutor) -> None:
    turns = turns_for(1, max_waiting=4)
    work = Work(pool, turns)
    work.ask("a1")
    work.wait_until_begun("a1")
    waiting = work.ask("b1")

    turns.close()

    for refused in (waiting, work.ask("c1")):
        with pytest.raises(UnavailableError):
            refused.result(10)
    work.end_all()
