"""Many who wait for the change feed: a change costs those whom it does not concern nothing."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from configsvc_server.cache.responses import ResponseCache
from configsvc_server.cache.waiters import Waiters
from configsvc_server.db.connections import Connection
from configsvc_server.db.database import Database
from configsvc_server.db.listener import ChangeListener, Heartbeat
from configsvc_server.domain.access.grants import EVERYTHING
from configsvc_server.domain.models import (
    Change,
    ChangeFilter,
    ChangeNotice,
    Provenance,
)
from configsvc_server.domain.pages import Page, PageRequest, Sort
from configsvc_server.repositories import Repositories
from configsvc_server.services.changes import ChangeService

CROWD = 30
SAFETY = 30.0
NOBODY: PageRequest = PageRequest(50, Sort(("id",)), after=(0,))
APPLICATION, CONFIGURATION = "01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAW"


class CountingDatabase(Database):
    """Counts how often somebody reads."""

    reads = 0

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        self.reads += 1
        with super().autocommit() as connection:
            yield connection


class Feed:
    """The change feed of one server, and writers of another."""

    def __init__(self, database: CountingDatabase, cache: ResponseCache, waiters: Waiters) -> None:
        self.database = database
        self.service = ChangeService(database, cache, waiters=waiters)
        self.pool = ThreadPoolExecutor(2 * CROWD)
        self.signal = cache.signal

    def follow(self, wanted: ChangeFilter) -> Future[Page[Change]]:
        return self.pool.submit(
            lambda: self.service.wait(NOBODY, wanted, timeout=SAFETY, is_abandoned=lambda: False)[0]
        )

    def change(self, action: str, *, actor: str = "me", environments: tuple[str, ...] = ()) -> None:
        """Write a change as another server does."""
        change = Change(
            action,  # type: ignore[arg-type]
            "configuration",
            APPLICATION,
            CONFIGURATION,
            "c",
            1,
            Provenance(actor, None, None),
            environments=environments,
        )
        with self.database.transaction() as connection:
            changes = Repositories(connection).changes
            changes.append([change], timestamp=changes.acquire_write_lock())


@pytest.fixture
def feed(database_url: str) -> Iterator[Feed]:
    heartbeat = Heartbeat()
    cache = ResponseCache(max_bytes=0, heartbeat=heartbeat)
    with CountingDatabase(database_url) as database:
        database.open()
        listener = ChangeListener(database_url, cache, heartbeat=heartbeat)
        listener.start(wait=SAFETY)
        feed = Feed(database, cache, Waiters(cache.signal, limit=300, heartbeat=heartbeat))
        yield feed
        cache.release_waiters()
        feed.pool.shutdown()
        listener.stop()


@pytest.fixture
def subscribed(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Counts those who are asleep, or about to be."""
    begun = threading.Semaphore(0)
    subscribe = feed.signal.subscribe

    @contextmanager
    def announce(key: object, wake: Callable[[], None]) -> Iterator[None]:
        with subscribe(key, wake):
            begun.release()
            yield

    monkeypatch.setattr(feed.signal, "subscribe", announce)
    return begun


def test_a_change_wakes_only_those_whose_filter_may_pass_it(
    feed: Feed, subscribed: threading.Semaphore
) -> None:
    crowd = [feed.follow(ChangeFilter(action="delete", access=EVERYTHING)) for _ in range(CROWD)]
    one = feed.follow(ChangeFilter(action="create", access=EVERYTHING))
    for _ in range(CROWD + 1):
        assert subscribed.acquire(timeout=SAFETY)
    asleep = feed.database.reads

    feed.change("create")
    assert [change.action for change in one.result(SAFETY).items] == ["create"]
    feed.change("delete")
    pages = [waiter.result(SAFETY) for waiter in crowd]

    assert all([change.action for change in page.items] == ["delete"] for page in pages)
    # Without a filter each of the crowd would have read twice; some may not have been asleep.
    assert feed.database.reads - asleep < CROWD


def test_those_who_wake_with_the_same_question_read_once(
    feed: Feed, subscribed: threading.Semaphore
) -> None:
    crowd = [feed.follow(ChangeFilter(access=EVERYTHING)) for _ in range(CROWD)]
    for _ in range(CROWD):
        assert subscribed.acquire(timeout=SAFETY)
    asleep = feed.database.reads

    feed.change("create")
    pages = [waiter.result(SAFETY) for waiter in crowd]

    assert {tuple(change.action for change in page.items) for page in pages} == {("create",)}
    assert feed.database.reads - asleep < CROWD / 2


@pytest.mark.parametrize(
    "actor", ["somebody", "Jürgen O’Neill\n☃", "x" * 1000, "☃" * 5000], ids=lambda a: a[:8]
)
def test_a_change_by_anybody_is_noticed(
    feed: Feed, subscribed: threading.Semaphore, actor: str
) -> None:
    """However long the names are that it concerns."""
    environments = tuple(f"e{number:02}" + "x" * 60 for number in range(50))
    waiter = feed.follow(
        ChangeFilter(
            application_id=APPLICATION, actor=actor, environment=environments[-1], access=EVERYTHING
        )
    )
    assert subscribed.acquire(timeout=SAFETY)

    feed.change("update", actor=actor, environments=environments)

    assert [change.action for change in waiter.result(SAFETY).items] == ["update"]


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        (ChangeFilter(access=EVERYTHING), True),
        (ChangeFilter(application_id="A", access=EVERYTHING), True),
        (ChangeFilter(application_id="B", access=EVERYTHING), False),
        (ChangeFilter(configuration_id="C", access=EVERYTHING), True),
        (ChangeFilter(configuration_id="D", access=EVERYTHING), False),
        (ChangeFilter(entity="release", access=EVERYTHING), True),
        (ChangeFilter(entity="configuration", access=EVERYTHING), False),
        (ChangeFilter(action="promote", access=EVERYTHING), True),
        (ChangeFilter(action="rollback", access=EVERYTHING), False),
        (ChangeFilter(actor="me", access=EVERYTHING), True),
        (ChangeFilter(actor="you", access=EVERYTHING), False),
        (ChangeFilter(application_id="A", environment="prod", access=EVERYTHING), True),
        (ChangeFilter(application_id="A", environment="pro", access=EVERYTHING), False),
    ],
)
def test_a_filter_knows_what_may_pass_it(wanted: ChangeFilter, passes: bool) -> None:
    notice = ChangeNotice("A", "C", "release", "promote", ("dev", "prod"), "me")

    assert wanted.may_pass(notice) is passes


def test_news_that_is_not_of_the_trigger_loses_nothing(
    feed: Feed, subscribed: threading.Semaphore, database_url: str
) -> None:
    waiter = feed.follow(ChangeFilter(action="create", access=EVERYTHING))
    assert subscribed.acquire(timeout=SAFETY)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("NOTIFY configsvc_changes, 'nonsense'")
    feed.change("create")

    assert len(waiter.result(SAFETY).items) == 1
