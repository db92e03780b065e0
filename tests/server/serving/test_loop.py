"""Event loop: turns of peers, changes from other threads, and errors of one connection."""

import socket
from collections.abc import Iterator

import pytest

from configsvc_server.serving.loop import EventLoop


class Dispatcher:
    """One end of a connection, which notes when it is handled."""

    def __init__(self, loop: EventLoop, peer: str, handled: list["Dispatcher"]) -> None:
        self.peer = peer
        self.socket, self.other = socket.socketpair()
        self._fileno = self.socket.fileno()
        self._loop = loop
        self._handled = handled
        self.is_broken = False
        loop.dispatchers[self._fileno] = self

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        self.socket.recv(100)
        self._handled.append(self)
        if self.is_broken:
            raise ValueError

    def handle_touch(self) -> None:
        self._handled.append(self)

    def handle_close(self) -> None:
        del self._loop.dispatchers[self._fileno]

    def close(self) -> None:
        self.socket.close()
        self.other.close()


@pytest.fixture
def handled() -> list[Dispatcher]:
    return []


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    loop = EventLoop()
    yield loop
    loop.close()


def test_peers_take_turns_however_many_connections_each_has(
    loop: EventLoop, handled: list[Dispatcher]
) -> None:
    crowd = [Dispatcher(loop, "crowd", handled) for _ in range(20)]
    other = Dispatcher(loop, "other", handled)
    for dispatcher in [*crowd, other]:
        dispatcher.other.send(b"x")

    loop.step(1.0)

    assert handled.index(other) <= 1


def test_what_is_not_handled_within_a_slice_is_handled_by_the_next_step(
    loop: EventLoop, handled: list[Dispatcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EventLoop, "SLICE", -1.0)
    pair = [Dispatcher(loop, "one", handled), Dispatcher(loop, "two", handled)]
    for dispatcher in pair:
        dispatcher.other.send(b"x")

    loop.step(1.0)
    assert len(handled) == 1
    loop.step(1.0)
    assert {dispatcher.peer for dispatcher in handled} == {"one", "two"}


def test_a_dispatcher_that_is_touched_is_called(loop: EventLoop, handled: list[Dispatcher]) -> None:
    dispatcher = Dispatcher(loop, "one", handled)

    loop.touch(dispatcher)
    loop.step(60.0)

    assert handled == [dispatcher]


def test_an_error_costs_its_own_connection_only(loop: EventLoop, handled: list[Dispatcher]) -> None:
    broken, sound = Dispatcher(loop, "one", handled), Dispatcher(loop, "two", handled)
    broken.is_broken = True
    for dispatcher in (broken, sound):
        dispatcher.other.send(b"x")

    # The log may take longer than a slice.
    loop.step(1.0)
    loop.step(1.0)

    assert sound in handled
    assert broken._fileno not in loop.dispatchers
    broken.close()
