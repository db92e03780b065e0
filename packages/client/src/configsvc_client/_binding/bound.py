"""Bound objects: configurations as typed objects that follow their configuration."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from configsvc_client.errors import BindError

if TYPE_CHECKING:
    from configsvc_client._binding.binding import Binding, Deliver, Listener

__all__ = ["Bound", "BoundSubscription", "Owner"]

T_co = TypeVar("T_co", covariant=True)


class Owner(Protocol):
    """Owner of what keeps a bound object up to date; handles keep it alive."""

    own: object
    """Flag that is false in a forked child which has not been renewed yet."""

    is_awake: bool
    """Whether objects follow by themselves, without :meth:`wake`."""

    def wake(self) -> object:
        """Start what keeps objects up to date, if it does not run in this process."""
        ...


class Bound(Generic[T_co]):
    """Bound object of a type, made from the newest document of a configuration that fits.

    ``value`` is a complete object made from one document; read it once where several members
    must fit together. Its ``repr`` has no values in it, so that it can be logged.

    Example:
        >>> database = app.bind("database", DatabaseSettings)
        >>> database.value.pool_size
        10
        >>> settings = database.value  # one object, so that host and port fit together
        >>> settings.host, settings.port
        ('db1', 5432)
        >>> database
        <Bound 'database': DatabaseSettings>
    """

    def __init__(
        self, binding: "Binding[T_co]", owner: Owner, *, deliver: "Deliver | None" = None
    ) -> None:
        """Create a handle.

        Args:
            binding: the half that follows.
            owner: what keeps it up to date.
            deliver: calls the callbacks; without it, they are called directly.
        """
        self._binding = binding
        self._owner = owner
        # Kept here too: each read goes by it.
        self._own = owner.own
        self._deliver = deliver

    @property
    def value(self) -> T_co:
        """Object made from the newest document that fits.

        Example:
            >>> app.bind("database", DatabaseSettings).value.host
            'db1'
        """
        if not (self._own and self._owner.is_awake):
            self._owner.wake()
        return self._binding.value

    @property
    def error(self) -> BindError | None:
        """Reason why the newest document is not in use; ``None`` where it is.

        Example:
            >>> app.bind("database", DatabaseSettings).error is None
            True
        """
        return self._binding.error

    @property
    def path(self) -> str:
        """Path that it is bound to."""
        return self._binding.path

    def on_change(
        self, callback: Callable[[T_co, T_co], object], *, call_now: bool = False
    ) -> "BoundSubscription":
        """Call ``callback(old, new)`` whenever another object is in use.

        It gets accepted objects only: a document that does not fit, or that makes no
        difference at this path, calls nothing. It is called when the new snapshot is in place
        and all bound objects follow it, in the thread that fetched it; of objects that come
        faster than it returns, it gets the newest. What it raises is logged once and changes
        nothing.

        Args:
            callback: gets the object that it got last, and the one that is in use now.
            call_now: whether to call it first, in this thread, before this returns, with the
                present object as both. What it raises then is raised here, and nothing is
                subscribed.

        Raises:
            TypeError: the callback is an async function, and there is no loop for it here.

        Example:
            >>> database = app.bind("database", DatabaseSettings)
            >>> def resize(old, new):
            ...     print(f"from {old.pool_size} to {new.pool_size}")
            >>> subscription = database.on_change(resize, call_now=True)
            from 10 to 10
            >>> client.set("billing", "database", {"host": "db1", "pool_size": 20})
            from 10 to 20
            >>> subscription.cancel()
        """
        if self._deliver is None and _is_async(callback):
            raise TypeError(
                f"{callback!r} is an async function, which nothing here would await;"
                " give a plain function."
            )
        binding = self._binding
        listener = binding.add_listener(
            callback, owner=self._owner, call_now=call_now, deliver=self._deliver
        )
        return BoundSubscription(binding, listener)

    def __repr__(self) -> str:
        binding = self._binding
        state = "" if binding.error is None else f", newest rejected: {binding.error}"
        return f"<Bound {binding.path!r}: {binding.name}{state}>"


class BoundSubscription:
    """Subscription of a callback to the objects of a :class:`Bound`, until :meth:`cancel`.

    Example:
        >>> app.bind("database", DatabaseSettings).on_change(lambda old, new: None)
        <BoundSubscription to 'database'>
    """

    def __init__(self, binding: "Binding[Any]", listener: "Listener[Any]") -> None:
        self._binding = binding
        self._listener = listener

    def cancel(self) -> None:
        """Stop calling the callback; a call that is under way goes on.

        Example:
            >>> subscription = app.bind("database", DatabaseSettings).on_change(print)
            >>> subscription.cancel()
        """
        self._binding.remove_listener(self._listener)

    def __repr__(self) -> str:
        return f"<BoundSubscription to {self._binding.path!r}>"


def _is_async(callback: Callable[..., object]) -> bool:
    from inspect import iscoroutinefunction  # noqa: PLC0415

    return iscoroutinefunction(callback) or iscoroutinefunction(getattr(callback, "__call__", None))  # noqa: B004
