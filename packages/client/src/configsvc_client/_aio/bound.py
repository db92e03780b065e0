"""Bound objects whose callbacks are called on an event loop."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from configsvc_client._aio.loops import running_loop
from configsvc_client._aio.subscriptions import AsyncSubscription, note_failure
from configsvc_client._binding.bound import Bound, BoundSubscription

if TYPE_CHECKING:
    from configsvc_client._binding.binding import Binding, Listener
    from configsvc_client._view.runtime import ViewRuntime

__all__ = ["AsyncBound"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_NOTHING: Final[Any] = object()


class AsyncBound(Bound[T_co]):
    """Bound object of a type, with callbacks on the loop."""

    def __init__(self, binding: "Binding[T_co]", owner: "ViewRuntime") -> None:
        super().__init__(binding, owner)
        self._report = owner.report

    def on_change(
        self, callback: Callable[[T_co, T_co], object], *, call_now: bool = False
    ) -> BoundSubscription:
        """Call ``callback(old, new)`` on the running loop whenever another object is in use.

        It may be an ``async def`` function, which is awaited in a task. It gets accepted objects
        only. Calls are made one after the other and in order; of objects that come during one,
        it gets the newest. What it raises is logged once and changes nothing.

        Args:
            callback: gets the object that it got last, and the one that is in use now.
            call_now: whether to call it first, as soon as the loop comes to it, with the present
                object as both.

        Raises:
            RuntimeError: no event loop is running.

        Example:
            >>> database = app.bind("database", DatabaseSettings)
            >>> async def resize(old, new):
            ...     print(f"from {old.pool_size} to {new.pool_size}")
            >>> subscription = database.on_change(resize)
            >>> client.set("billing", "database", {"host": "db1", "pool_size": 20})
            from 10 to 20
        """
        running_loop("on_change")
        subscription: AsyncSubscription[tuple[T_co, T_co]] = AsyncSubscription(
            repr(self.path), lambda news: callback(*news)
        )
        news = _Newest[T_co](subscription._wake)
        listener = self._binding.add_listener(news.note, owner=self._owner)
        news.begin(listener.told, call_now=call_now)
        handle = _LoopSubscription(self._binding, listener, subscription)
        note = partial(note_failure, listener, self._report)
        subscription._start(news.take, handle._remove, note)
        if call_now:
            subscription._wake()
        return handle


class _LoopSubscription(BoundSubscription):
    def __init__(
        self, binding: "Binding[Any]", listener: "Listener[Any]", on_loop: AsyncSubscription[Any]
    ) -> None:
        super().__init__(binding, listener)
        self._on_loop = on_loop

    def cancel(self) -> None:
        """Stop calling the callback; a call that is under way goes on."""
        self._on_loop.cancel()

    def _remove(self) -> None:
        super().cancel()


class _Newest(Generic[T]):
    """Object that was told last, and the newest one that came since."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._told: T = _NOTHING
        self._latest: T = _NOTHING
        self._call_now = False

    def begin(self, told: T, *, call_now: bool) -> None:
        """Set the object that is known."""
        self._told, self._call_now = told, call_now

    def note(self, _old: T, new: T) -> None:
        """Take note of another object; called in any thread."""
        self._latest = new
        self._wake()

    def take(self) -> tuple[T, T] | None:
        """Return the object told last and the newest; ``None`` where they are the same."""
        if self._call_now:
            self._call_now = False
            return self._told, self._told
        old, new = self._told, self._latest
        if new is _NOTHING or new is old:
            return None
        self._told = new
        return old, new
