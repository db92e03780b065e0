"""Following changes over a server that is slow, wrong, or away."""

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from configsvc_client import AuthError, ChangeFeed, ClosedError, ServerError, TransportError
from configsvc_client._http.api import Api
from tests.client.conftest import MakeClient
from tests.client.documents import CHANGE
from tests.client.stub import Handler, StubServer, drop, eventually, hang, status


class Log:
    """Answers as the log of changes does, in pages of two."""

    def __init__(self, stub: StubServer) -> None:
        self._stub = stub
        self.length = 0
        self.waiting = 0

    def add(self, count: int = 1) -> None:
        with self._stub.changed:
            self.length += count
            self._stub.changed.notify_all()

    def __call__(self, handler: Handler) -> None:
        params = {name: value for name, (value,) in parse_qs(urlsplit(handler.path).query).items()}
        backwards, after = params.get("sort") == "-id", int(params.get("after", "0"))
        prefer = handler.headers.get("Prefer", "")
        with self._stub.changed:
            if prefer:
                self.waiting += 1
                self._stub.changed.wait_for(
                    lambda: (
                        self.length > after
                        or self._stub.stopping.is_set()
                        or self._stub.behaviour is not self
                    ),
                    float(prefer.removeprefix("wait=")),
                )
            length = self.length
        if self._stub.behaviour is not self:
            self._stub.behaviour(handler)
            return
        numbers = [length][:length] if backwards else list(range(after + 1, length + 1))
        document: dict[str, Any] = {
            "items": [{**CHANGE, "id": number} for number in numbers[:2]],
            "limit": 2,
            "has_more": len(numbers) > 2,
            "next": str(numbers[:2][-1] if numbers else after),
        }
        granted = {"Preference-Applied": prefer} if prefer else {}
        handler.reply(200, json.dumps(document).encode(), granted)


@pytest.fixture
def log(stub: StubServer) -> Log:
    made = Log(stub)
    stub.answer(made)
    return made


@pytest.fixture
def feed(stub: StubServer, log: Log, make_client: MakeClient) -> ChangeFeed:
    """A feed from the start."""
    return make_client(stub.url, poll_interval=0.02).changes.follow(from_start=True)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def ids(feed: ChangeFeed, count: int) -> list[int]:
    return [next(feed).id for _ in range(count)]


def test_each_change_is_given_once_and_in_order(log: Log, feed: ChangeFeed) -> None:
    log.add(5)
    assert ids(feed, 5) == [1, 2, 3, 4, 5]
    assert feed.cursor == "5"


def test_a_change_is_given_when_it_happens(
    log: Log, feed: ChangeFeed, pool: ThreadPoolExecutor
) -> None:
    following = pool.submit(ids, feed, 2)
    eventually(lambda: log.waiting)
    log.add()
    log.add()
    assert following.result(20) == [1, 2]


def test_what_happened_before_the_call_is_not_given(
    stub: StubServer, log: Log, make_client: MakeClient
) -> None:
    log.add(3)
    feed = make_client(stub.url).changes.follow()
    log.add()
    assert ids(feed, 1) == [4]


@pytest.mark.parametrize("taken", range(6))
def test_another_feed_goes_on_after_any_change(
    stub: StubServer, log: Log, feed: ChangeFeed, make_client: MakeClient, taken: int
) -> None:
    log.add(5)
    before = ids(feed, taken)
    later = make_client(stub.url).changes.follow(after=feed.cursor)
    log.add()
    assert before + ids(later, 6 - taken) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (status(503, {"Retry-After": "0"}), ServerError),
        (status(500), ServerError),
        (status(429, {"Retry-After": "0"}), ServerError),
        (status(200, body=b"<html>"), ServerError),
        (drop, TransportError),
    ],
    ids=["503", "500", "429", "html", "dropped"],
)
def test_failures_are_waited_out_and_nothing_is_lost(
    stub: StubServer,
    log: Log,
    feed: ChangeFeed,
    pool: ThreadPoolExecutor,
    behaviour: Any,
    kind: type[Exception],
) -> None:
    log.add(3)
    assert ids(feed, 1) == [1]
    stub.answer(behaviour)
    following = pool.submit(ids, feed, 3)
    eventually(lambda: feed.error)
    assert isinstance(feed.error, kind)
    assert "failing: " in repr(feed)
    log.add()
    stub.answer(log)
    assert following.result(20) == [2, 3, 4]
    assert feed.error is None


def test_a_server_that_is_away_is_found_again(
    stub: StubServer, log: Log, feed: ChangeFeed, pool: ThreadPoolExecutor
) -> None:
    following = pool.submit(ids, feed, 1)
    eventually(lambda: log.waiting)
    stub.stop()
    eventually(lambda: feed.error)
    log.add()
    stub.start()
    assert following.result(20) == [1]


def test_a_hanging_server_is_given_up(
    stub: StubServer,
    log: Log,
    make_client: MakeClient,
    pool: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Api, "MARGIN", 0.1)
    feed = make_client(stub.url, timeout=(1, 0.2)).changes.follow(from_start=True, wait=0)
    stub.answer(hang)
    following = pool.submit(ids, feed, 1)
    eventually(lambda: feed.error)
    log.add()
    stub.answer(log)
    assert following.result(20) == [1]


def test_what_the_server_refuses_is_raised(stub: StubServer, feed: ChangeFeed) -> None:
    stub.answer(status(401))
    with pytest.raises(AuthError):
        next(feed)


def test_a_lasting_failure_is_logged_once(
    stub: StubServer,
    feed: ChangeFeed,
    pool: ThreadPoolExecutor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stub.answer(status(503, {"Retry-After": "0"}))
    before = stub.polls
    following = pool.submit(list, feed)
    eventually(lambda: stub.polls >= before + 3)
    feed.close()
    assert following.result(20) == []
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize("long_poll", [30.0, 0.0])
def test_close_ends_a_wait_in_another_thread(
    stub: StubServer,
    log: Log,
    make_client: MakeClient,
    pool: ThreadPoolExecutor,
    long_poll: float,
) -> None:
    feed = make_client(stub.url).changes.follow(from_start=True, wait=long_poll)
    following = pool.submit(list, feed)
    eventually(lambda: log.waiting or (not long_poll and stub.polls))
    feed.close()
    # Both the wait and the interval are half a minute.
    assert following.result(5) == []


def test_a_closed_feed_is_at_its_end(log: Log, feed: ChangeFeed) -> None:
    log.add(2)
    with feed:
        assert ids(feed, 1) == [1]
    assert list(feed) == []
    assert repr(feed) == "<ChangeFeed: 1 given, cursor '~1', closed>"


def test_a_feed_that_is_closed_as_it_asks_is_at_its_end(log: Log, feed: ChangeFeed) -> None:
    feed._transport.close()
    with pytest.raises(ClosedError):
        next(feed)
    feed.close()
    assert feed._poll_once() == 0


def test_closing_the_client_closes_its_feeds(
    stub: StubServer, log: Log, make_client: MakeClient, pool: ThreadPoolExecutor
) -> None:
    client = make_client(stub.url)
    following = pool.submit(list, client.changes.follow(from_start=True))
    eventually(lambda: log.waiting)
    client.close()
    assert following.result(5) == []
    with pytest.raises(ClosedError):
        client.changes.follow(from_start=True)


def test_long_polls_can_be_turned_off(
    stub: StubServer, log: Log, make_client: MakeClient, pool: ThreadPoolExecutor
) -> None:
    client = make_client(stub.url, poll_interval=0.01, long_poll=0)
    following = pool.submit(ids, client.changes.follow(from_start=True), 1)
    eventually(lambda: stub.polls >= 3)
    log.add()
    assert following.result(20) == [1]
    assert not log.waiting


def test_the_wait_of_a_feed_can_be_chosen(
    stub: StubServer, log: Log, make_client: MakeClient
) -> None:
    log.add()
    feed = make_client(stub.url).changes.follow(from_start=True, wait=7)
    assert ids(feed, 1) == [1]
    assert stub.requests[-1][2]["Prefer"] == "wait=7"


def test_a_child_goes_on_where_its_parent_was(
    stub: StubServer, log: Log, make_client: MakeClient
) -> None:
    client = make_client(stub.url)
    feed = client.changes.follow(from_start=True)
    log.add(3)
    assert ids(feed, 2) == [1, 2]
    # What the hook of a fork does there.
    feed._after_fork_in_child()
    assert ids(feed, 1) == [3]
    feed.close()
    feed._after_fork_in_child()
    assert list(feed) == []


def test_many_feeds_can_be_followed_at_once(
    stub: StubServer, log: Log, make_client: MakeClient, pool: ThreadPoolExecutor
) -> None:
    client = make_client(stub.url)
    following = [pool.submit(ids, client.changes.follow(from_start=True), 3) for _ in range(4)]
    eventually(lambda: log.waiting >= 4)
    log.add(3)
    assert [future.result(20) for future in following] == [[1, 2, 3]] * 4
