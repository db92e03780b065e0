"""Callbacks of a view: whom it tells of what."""

from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import pytest

from configsvc_client import Change, ConfigClient, ConfigView
from tests.client.contract.conftest import Put
from tests.client.contract.running import subscribe, threads_only


@dataclass(frozen=True)
class Database:
    pool_size: int


def test_a_callback_for_everything_gets_both_snapshots(
    client: ConfigClient, app: ConfigView, put: Put
) -> None:
    next_change = subscribe(app)
    put("database", {"pool_size": 20})
    first = next_change()
    client.configurations.delete(client.configurations.find("billing", "limits"))
    second = next_change()
    assert (first.old["database"]["pool_size"], first.new["database"]["pool_size"]) == (10, 20)
    assert first.configurations == ("database",)
    assert second.configurations == ("limits",)
    assert (first.path, first.new) == ("", second.old)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("limits", {"n": 1, "hosts": ["a", "b"]}, {"n": 2}),
        ("limits.n", 1, 2),
        ("/limits/n", 1, 2),
        ("limits.hosts", ["a", "b"], None),
        ("limits.hosts.0", "a", None),
    ],
)
def test_a_callback_for_a_path_gets_old_and_new_value(
    app: ConfigView, put: Put, path: str, old: object, new: object
) -> None:
    reported: list[Change] = []
    app.on_change(reported.append, path)
    next_change = subscribe(app)
    put("database", {"pool_size": 20})
    next_change()
    assert not reported
    put("limits", {"n": 2})
    next_change()
    assert [(change.path, change.old, change.new) for change in reported] == [(path, old, new)]


@pytest.mark.parametrize(("before", "after"), [(1, 1.0), (1, True), (None, 0)])
def test_a_value_of_another_type_is_a_change(
    app: ConfigView, put: Put, before: Any, after: Any
) -> None:
    next_change = subscribe(app)
    put("limits", {"n": before})
    next_change()
    reported: list[Change] = []
    app.on_change(reported.append, "limits.n")
    next_after = subscribe(app)
    put("limits", {"n": after})
    next_after()
    assert [(change.old, change.new) for change in reported] == [(before, after)]
    assert type(reported[0].new) is type(after)


@threads_only("a callback on the loop can not wait for it")
def test_a_callback_sees_the_new_values_everywhere(app: ConfigView, put: Put) -> None:
    bound = app.bind("database", Database)
    seen: SimpleQueue[Any] = SimpleQueue()
    app.on_change(lambda _: seen.put((app["database"]["pool_size"], bound.value.pool_size)))
    put("database", {"pool_size": 20})
    assert seen.get(timeout=20) == (20, 20)
    assert seen.empty()


@threads_only("its subscriptions have another repr")
def test_a_cancelled_subscription_is_told_nothing(app: ConfigView, put: Put) -> None:
    reported: list[Change] = []
    subscription = app.on_change(reported.append, "limits")
    next_change = subscribe(app)
    assert repr(subscription) == "<Subscription to 'limits'>"
    subscription.cancel()
    subscription.cancel()
    put("limits", {"n": 2})
    next_change()
    assert not reported


@threads_only("a callback on the loop can not wait for it")
def test_changes_made_by_a_callback_are_told_in_order(app: ConfigView, put: Put) -> None:
    reported: SimpleQueue[int] = SimpleQueue()

    def count(change: Change) -> None:
        reported.put(change.new)
        if change.new < 5:
            put("limits", {"n": change.new + 1})

    app.on_change(count, "limits.n")
    put("limits", {"n": 2})
    assert [reported.get(timeout=20) for _ in range(4)] == [2, 3, 4, 5]
    assert reported.empty()
