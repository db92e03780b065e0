"""Bindings: following snapshots, and telling who listens."""

import asyncio
import gc
import json
import logging
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from configsvc_client import BindError, Bound
from configsvc_client._binding.binding import Binding
from configsvc_client._values.frozen import FrozenDict
from configsvc_client._values.snapshot import Snapshot
from configsvc_client._values.snapshot_documents import read_snapshot


@dataclass(frozen=True)
class Pool:
    size: int


class Gate:
    """What a validator depends on besides the document."""

    error: BaseException | None = None


@pytest.fixture
def gate() -> Iterator[type[Gate]]:
    Gate.error = None
    yield Gate
    Gate.error = None


@dataclass(frozen=True)
class Guarded(Pool):
    def __post_init__(self) -> None:
        if Gate.error is not None:
            raise Gate.error


class Owner:
    own: object = True
    is_awake = True
    woken = 0

    def wake(self) -> None:
        self.woken += 1


def snapshot(previous: Snapshot | None = None, **configs: Any) -> Snapshot:
    common = {"id": "1", "version": 1, "updated_at": "2026-11-24T08:00:00Z"}
    entries = {name: {**common, "config": config} for name, config in configs.items()}
    document = {"application_id": "2", "application": "billing", "environment": "default"}
    body = json.dumps({**document, "configurations": entries}).encode()
    return read_snapshot(body, '"e"', previous=previous)


def test_it_follows_and_tells_whether_another_object_is_in_use() -> None:
    first = snapshot(pool={"size": 1})
    binding = Binding[Pool]("pool", Pool, first)
    assert not binding.follow(first)
    assert not binding.follow(snapshot(first, pool={"size": 1}, other={}))
    assert not binding.follow(snapshot(first, pool={"size": "x"}))
    assert binding.value == Pool(1)
    assert binding.follow(snapshot(first, pool={"size": 2}))
    assert (binding.value, binding.error) == (Pool(2), None)


@pytest.mark.parametrize(
    "error", [AssertionError("no"), KeyError("no"), TypeError("no"), RecursionError(), OSError()]
)
def test_whatever_a_validator_raises_is_a_rejection(gate: type[Gate], error: Exception) -> None:
    first = snapshot(pool={"size": 1})
    binding = Binding[Guarded]("pool", Guarded, first)
    gate.error = error
    assert not binding.follow(snapshot(pool={"size": 2}))
    assert binding.value.size == 1
    assert isinstance(binding.error, BindError)
    with pytest.raises(BindError, match="does not fit Guarded"):
        Binding("pool", Guarded, first)


@pytest.mark.parametrize(
    "error", [SystemExit(2), asyncio.CancelledError(), GeneratorExit(), KeyboardInterrupt()]
)
def test_what_is_no_exception_is_a_rejection_in_a_thread_that_follows(
    gate: type[Gate], error: BaseException
) -> None:
    binding = Binding[Guarded]("pool", Guarded, snapshot(pool={"size": 1}))
    gate.error = error
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(binding.follow, snapshot(pool={"size": 2})).result() is False
    assert f"is refused with {type(error).__name__}" in str(binding.error)
    gate.error = None
    assert binding.follow(snapshot(pool={"size": 2}))


def test_ctrl_c_in_a_validator_reaches_the_main_thread(gate: type[Gate]) -> None:
    binding = Binding[Guarded]("pool", Guarded, snapshot(pool={"size": 1}))
    gate.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        binding.follow(snapshot(pool={"size": 2}))


def test_a_document_nested_too_deeply_for_its_defaults_is_a_rejection() -> None:
    first = snapshot(pool={"size": 1})
    binding = Binding[Pool]("pool", Pool, first, schema_defaults=True)
    nested: dict[str, Any] = {}
    for _ in range(100_000):
        nested = FrozenDict({"a": nested})
    deep = snapshot(pool={"size": 2})
    deep.configs = FrozenDict({"pool": FrozenDict({"size": 2, "deep": nested})})
    for _ in range(2):
        assert not binding.follow(deep)
        assert "nested too deeply" in str(binding.error)
    assert binding.value == Pool(1)
    with pytest.raises(BindError, match="nested too deeply"):
        Binding("pool", Pool, deep, schema_defaults=True)
    assert binding.follow(snapshot(pool={"size": 3}))


def test_what_was_rejected_is_tried_again_with_the_same_snapshot(gate: type[Gate]) -> None:
    binding = Binding[Guarded]("pool", Guarded, snapshot(pool={"size": 1}))
    gate.error, newest = OSError("the disk is not there"), snapshot(pool={"size": 2})
    assert not binding.follow(newest)
    gate.error = None
    assert binding.follow(newest)
    assert (binding.value, binding.error) == (Guarded(2), None)
    assert not binding.follow(newest)


def test_one_and_the_same_rejection_is_logged_once(
    gate: type[Gate], caplog: pytest.LogCaptureFixture
) -> None:
    binding = Binding[Guarded]("pool", Guarded, snapshot(pool={"size": 1}))
    gate.error, newest = OSError(), snapshot(pool={"size": 2})
    for _ in range(3):
        binding.follow(newest)
    assert len(caplog.records) == 1
    gate.error = ValueError("no")
    binding.follow(newest)
    binding.follow(snapshot(pool={"size": 3}))
    assert len(caplog.records) == 3


def test_a_kept_error_holds_neither_frames_nor_other_errors(gate: type[Gate]) -> None:
    binding = Binding[Guarded]("pool", Guarded, snapshot(pool={"size": 1}))
    gate.error = KeyError("secret")
    binding.follow(snapshot(pool={"size": 2}))
    error = binding.error
    assert error is not None
    assert (error.__traceback__, error.__context__, error.__cause__) == (None, None, None)


def test_a_rejection_and_what_is_logged_of_it_have_no_values(
    gate: type[Gate], caplog: pytest.LogCaptureFixture
) -> None:
    binding = Binding[Guarded]("pool", Guarded, snapshot(pool={"size": 1}))
    gate.error = KeyError("hunter2")
    binding.follow(snapshot(pool={"size": 23456}))
    binding.follow(snapshot(pool={"size": "hunter2"}))
    shown = caplog.text + repr(binding.error) + repr(Bound(binding, Owner()))
    assert "hunter2" not in shown
    assert "23456" not in shown
    assert "/size must be an integer, not a string" in shown


def listen(binding: Binding[Pool], **options: Any) -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    binding.add_listener(lambda old, new: told.append((old.size, new.size)), **options)
    return told


def notify(binding: Binding[Any]) -> None:
    for listener in binding.listeners():
        listener.notify()


def test_listeners_are_told_of_accepted_objects_only() -> None:
    binding = Binding[Pool]("pool", Pool, snapshot(pool={"size": 1}))
    told = listen(binding)
    for size in (2, "x", 2, 3):
        binding.follow(snapshot(pool={"size": size}))
        notify(binding)
        notify(binding)
    # The third document is equal to what is in use, but came after one that was rejected.
    assert told == [(1, 2), (2, 2), (2, 3)]


def test_a_listener_goes_from_what_it_was_told_last_to_the_newest() -> None:
    binding = Binding[Pool]("pool", Pool, snapshot(pool={"size": 1}))
    told = listen(binding)
    for size in (2, 3):
        binding.follow(snapshot(pool={"size": size}))
    late = listen(binding)
    notify(binding)
    assert (told, late) == ([(1, 3)], [])


def test_a_listener_can_be_called_at_once() -> None:
    binding = Binding[Pool]("pool", Pool, snapshot(pool={"size": 1}))
    told = listen(binding, call_now=True)
    assert told == [(1, 1)]
    binding.follow(snapshot(pool={"size": 2}))
    notify(binding)
    assert told == [(1, 1), (1, 2)]


def test_a_change_during_the_call_at_once_is_told_after_it() -> None:
    binding = Binding[Pool]("pool", Pool, snapshot(pool={"size": 1}))
    told: list[tuple[int, int]] = []

    def change(old: Pool, new: Pool) -> None:
        told.append((old.size, new.size))
        if new.size == 1:
            binding.follow(snapshot(pool={"size": 2}))
            notify(binding)

    binding.add_listener(change, call_now=True)
    notify(binding)
    assert told == [(1, 1), (1, 2)]


def test_a_callback_that_fails_at_once_is_not_subscribed() -> None:
    binding = Binding[Pool]("pool", Pool, snapshot(pool={"size": 1}))

    def fail(_old: Pool, _new: Pool) -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        Bound(binding, Owner()).on_change(fail, call_now=True)
    assert binding.listeners() == ()


def test_a_subscription_cancelled_in_the_same_round_is_not_called() -> None:
    binding = Binding[Pool]("pool", Pool, snapshot(pool={"size": 1}))
    bound, told = Bound(binding, Owner()), []
    first = bound.on_change(lambda _old, _new: second.cancel())
    second = bound.on_change(lambda _old, new: told.append(new))
    binding.follow(snapshot(pool={"size": 2}))
    notify(binding)
    assert told == []
    first.cancel()
    first.cancel()
    assert binding.listeners() == ()


def test_a_failing_callback_is_logged_once_and_stops_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    binding = Binding[Pool]("pool", Pool, snapshot(pool={"size": 1}))

    def fail(_old: Pool, _new: Pool) -> None:
        raise SystemExit("no")

    binding.add_listener(fail)
    told = listen(binding)
    with caplog.at_level(logging.INFO):
        for size in (2, 3):
            binding.follow(snapshot(pool={"size": size}))
            notify(binding)
    assert told == [(1, 2), (2, 3)]
    assert [record.exc_info is not None for record in caplog.records] == [True]
    assert "a callback of the bound 'pool' failed" in caplog.text.lower()


def test_who_delivers_can_be_somebody_else() -> None:
    binding = Binding[Pool]("pool", Pool, snapshot(pool={"size": 1}))
    delivered: list[Any] = []

    def deliver(callback: Any, old: Any, new: Any, /) -> None:
        delivered.append((callback, old, new))

    async def callback(old: Pool, new: Pool) -> None:
        raise NotImplementedError

    with pytest.raises(TypeError, match="async function"):
        Bound(binding, Owner()).on_change(callback)
    bound = Bound(binding, Owner(), deliver=deliver)
    bound.on_change(callback, call_now=True)
    binding.follow(snapshot(pool={"size": 2}))
    notify(binding)
    assert delivered == [(callback, Pool(1), Pool(1)), (callback, Pool(1), Pool(2))]


def test_many_threads_tell_each_object_once_and_in_order() -> None:
    binding = Binding[Pool]("pool", Pool, snapshot(pool={"size": 0}))
    told = listen(binding)
    turn = threading.Lock()

    def work() -> None:
        for _ in range(50):
            with turn:
                binding.follow(snapshot(pool={"size": binding.value.size + 1}))
            notify(binding)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ends = sorted(new for _, new in told)
    assert sorted(told) == list(zip([0, *ends[:-1]], ends, strict=True))
    assert ends[-1] == 200


@pytest.mark.parametrize(
    ("own", "is_awake", "woken"),
    [(True, True, 0), (False, True, 2), (True, False, 2)],
    ids=["awake", "forked", "asleep"],
)
def test_each_read_of_a_handle_wakes_its_owner_where_it_does_not_follow(
    own: bool, is_awake: bool, woken: int
) -> None:
    owner = Owner()
    owner.own, owner.is_awake = own, is_awake
    bound = Bound(Binding[Pool]("pool", Pool, snapshot(pool={"size": 1})), owner)
    assert (bound.value, bound.value, owner.woken) == (Pool(1), Pool(1), woken)


def test_a_handle_keeps_its_owner() -> None:
    owner = Owner()
    bound = Bound(Binding[Pool]("pool", Pool, snapshot(pool={"size": 1})), owner)
    alive = weakref.ref(owner)
    subscription = bound.on_change(lambda _old, _new: None)
    del owner, bound
    gc.collect()
    assert alive() is not None
    del subscription
    gc.collect()
    assert alive() is None


def test_a_binding_does_not_keep_its_handles_alive() -> None:
    binding, owner = Binding[Pool]("pool", Pool, snapshot(pool={"size": 1})), Owner()
    bound = Bound(binding, owner)
    handles: list[weakref.ref[Any]] = [weakref.ref(bound), weakref.ref(owner)]
    del bound, owner
    gc.collect()
    assert all(handle() is None for handle in handles)


def test_a_callback_keeps_the_owner_alive_until_it_is_cancelled() -> None:
    binding, owner = Binding[Pool]("pool", Pool, snapshot(pool={"size": 1})), Owner()
    subscription = Bound(binding, owner).on_change(lambda _old, _new: None)
    held = weakref.ref(owner)
    del owner
    gc.collect()
    assert held() is not None
    subscription.cancel()
    gc.collect()
    assert held() is None
