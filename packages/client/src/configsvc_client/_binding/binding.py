"""Bindings: the half of a bound object that follows snapshots, without knowing who reads it."""

import threading
from collections.abc import Callable, Mapping
from logging import getLogger
from typing import Any, Final, Generic, Protocol, TypeVar

from configsvc_client._binding.conversion import converter as converter_of
from configsvc_client._binding.defaults import filled
from configsvc_client._binding.problems import (
    ConversionError,
    Converter,
    Steps,
    guarded,
    problems_of,
)
from configsvc_client._callbacks import call_safely, describe_failure, is_interrupt
from configsvc_client._values.frozen import FrozenDict, FrozenList
from configsvc_client._values.paths import find, locate
from configsvc_client._values.snapshot import Snapshot
from configsvc_client.errors import BindError, FieldProblem

__all__ = ["Binding", "Deliver", "Listener"]

_log = getLogger("configsvc_client")

T = TypeVar("T")

_ABSENT: Final = object()


class Deliver(Protocol):
    """Function that calls a callback, or has it called elsewhere, such as on an event loop."""

    def __call__(self, callback: Callable[[Any, Any], object], old: Any, new: Any, /) -> object:
        """Call ``callback(old, new)``, now or soon, but in the order of the calls."""
        ...


class Binding(Generic[T]):
    """Binding of a path to a type: the object made from the newest document that fits.

    The thread that fetches holds it. It knows neither the handles that are given out nor the
    view, so that those can go away while a thread is at work.
    """

    def __init__(
        self,
        path: str,
        model: Any,
        snapshot: Snapshot,
        *,
        schema_defaults: bool = False,
        strict: bool = False,
        converter: Callable[[Any], T] | None = None,
    ) -> None:
        """Make the first object.

        Args:
            path: name of a configuration, or a path into one.
            model: the type; of no meaning where there is a ``converter``.
            snapshot: the snapshot to begin with.
            schema_defaults: whether to fill in the defaults of the schema.
            strict: whether a member that the type does not know is a problem.
            converter: makes the object of a plain value.

        Raises:
            BindError: the configuration does not fit, or does not exist.
            TypeError: the type has annotations that JSON can't be converted to.
        """
        self.path: str = path
        self.name: str = _name(model if converter is None else converter)
        """Name of the type, or of the converter."""
        self.error: BindError | None = None
        """Reason why the newest document is not in use; ``None`` where it is."""
        self._convert: Converter = (
            converter_of(model, strict=strict) if converter is None else _foreign(converter)
        )
        self._source = _Filled() if schema_defaults else _Plain()
        try:
            self._source.move_to(snapshot, path)
        except Exception as failure:  # noqa: BLE001 - see follow
            raise _bind_error(path, self.name, problems_of(failure, None, ())) from None
        self._listeners: tuple[Listener[T], ...] = ()
        self._lock = threading.Lock()
        made, error = self._attempt()
        if error is not None:
            raise error
        self.value: T = made
        """Object made from the newest document that fits."""

    def follow(self, snapshot: Snapshot) -> bool:
        """Make the object anew if its document is another, or was rejected the last time.

        A document that does not fit leaves the object as it is; see :attr:`error`. Listeners
        are not called: that is for who has updated all bindings.

        Returns:
            Whether another object was accepted.
        """
        made: Any = None
        error, has_moved = self.error, True
        try:
            has_moved = self._source.move_to(snapshot, self.path)
            if not has_moved and error is None:
                return False
            made, error = self._attempt()
        except BaseException as failure:
            # Such as a document nested too deeply, or a validator that calls sys.exit: that must
            # neither end the thread nor keep the other bindings from following.
            if is_interrupt(failure):
                raise
            problems = problems_of(failure, self._source.value, ())
            error = _bind_error(self.path, self.name, problems)
        previous, self.error = self.error, error
        if error is not None:
            if has_moved or str(error) != str(previous):
                _log.warning("%s The object made from an earlier version stays.", error)
            return False
        with self._lock:
            self.value = made
        return True

    def add_listener(
        self,
        callback: Callable[[T, T], object],
        *,
        owner: object = None,
        call_now: bool = False,
        deliver: Deliver | None = None,
    ) -> "Listener[T]":
        """Return a listener that is told of every object accepted from here on.

        Args:
            callback: gets the object before and the object now.
            owner: kept alive as long as the listener.
            call_now: whether to call it once before it returns, with the present object twice.
            deliver: calls the callback; without it, it is called directly.
        """
        listener = Listener(self, callback, self.value, deliver or _call, owner)
        if call_now:
            listener.deliver(listener.told, listener.told)
        while True:
            with self._lock:
                # Nothing can be accepted between here and the next line, so nothing is missed.
                if not call_now or self.value is listener.told:
                    listener.told = self.value
                    self._listeners = (*self._listeners, listener)
                    return listener
                old, listener.told = listener.told, self.value
            listener.deliver(old, listener.told)

    def remove_listener(self, listener: "Listener[T]") -> None:
        """Tell a listener nothing any more."""
        listener.owner = None
        with self._lock:
            self._listeners = tuple(kept for kept in self._listeners if kept is not listener)

    def listeners(self) -> tuple["Listener[T]", ...]:
        """Return the listeners, in the order in which they were added."""
        return self._listeners

    def after_fork_in_child(self) -> None:
        """Replace the lock, which a thread of the parent may have held."""
        self._lock = threading.Lock()

    def _take(self, listener: "Listener[T]") -> tuple[T, T] | None:
        with self._lock:
            if listener not in self._listeners or listener.told is self.value:
                return None
            old, listener.told = listener.told, self.value
            return old, self.value

    def _attempt(self) -> tuple[Any, BindError | None]:
        # Returned and not raised: an error that is kept must not hold the frames and values.
        source = self._source.value
        if source is _ABSENT:
            return None, BindError(f"There is no {self.path!r} to make {self.name} of.")
        try:
            made = guarded(lambda: self._convert(source, ()), source, ())
        except ConversionError as error:
            problems = error.problems
        else:
            return made, None
        return None, _bind_error(self.path, self.name, problems)


class Listener(Generic[T]):
    """Listener of a binding: a callback, and the object that it was told of last.

    Objects that come faster than they are told are passed over: it goes from the last one told
    to the newest.
    """

    def __init__(
        self,
        binding: Binding[T],
        callback: Callable[[T, T], object],
        told: T,
        deliver: Deliver,
        owner: object,
    ) -> None:
        self.owner: object = owner
        """Kept alive as long as it is told."""
        self._binding = binding
        self._callback = callback
        self._deliver = deliver
        self._has_failed = False
        self.failure: str | None = None
        """Failure of the last call, without values; ``None`` where it worked."""
        self.told: T = told

    def notify(self) -> None:
        """Call the callback if an object was accepted since the last time.

        After :meth:`Binding.remove_listener` it is called no more. What it raises is logged,
        once with a traceback.
        """
        news = self._binding._take(self)
        if news is None:
            return
        error = call_safely(self, lambda: self.deliver(*news), has_failed=self._has_failed)
        self._has_failed |= error is not None
        self.failure = describe_failure(self._callback, error)

    def deliver(self, old: T, new: T) -> None:
        """Call the callback, whatever it was told before."""
        self._deliver(self._callback, old, new)

    def __repr__(self) -> str:
        return f"A callback of the bound {self._binding.path!r}"


def _call(callback: Callable[[Any, Any], object], old: Any, new: Any, /) -> object:
    return callback(old, new)


def _name(model: Any) -> str:
    if isinstance(model, type):
        return model.__name__
    return str(getattr(model, "__qualname__", model if _is_typing(model) else type(model).__name__))


def _is_typing(model: Any) -> bool:
    return type(model).__module__ in ("typing", "types")


def _foreign(make: Callable[[Any], Any]) -> Converter:
    def convert(value: Any, _steps: Steps) -> Any:
        # It may keep and change what it is given.
        return make(value.copy() if isinstance(value, FrozenDict | FrozenList) else value)

    return convert


def _bind_error(path: str, name: str, problems: list[FieldProblem]) -> BindError:
    what = "; ".join(f"{problem.pointer} {problem.message}".strip() for problem in problems)
    error = BindError(f"{path!r} does not fit {name}: {what}.")
    error.errors = tuple(problems)
    return error


class _Plain:
    """Value at a path, as it is."""

    def __init__(self) -> None:
        self.value: object = None

    def move_to(self, snapshot: Snapshot, path: str) -> bool:
        """Read the value from another snapshot, and return whether it is another one."""
        before, self.value = self.value, _lookup(snapshot.configs, path)
        return self.value is not before


class _Filled(_Plain):
    """Value at a path, with the defaults of the schema filled in."""

    def __init__(self) -> None:
        super().__init__()
        self._config: object = None
        self._defaults: object = None

    def move_to(self, snapshot: Snapshot, path: str) -> bool:
        name, _ = locate(snapshot.configs, path)
        config: Any = snapshot.configs.get(name)
        defaults = None if config is None else snapshot.defaults(name)
        # Equal configurations are the same object in each snapshot.
        if config is not None and config is self._config and defaults is self._defaults:
            return False
        configurations = {} if config is None else {name: filled(config, defaults or {})}
        before, self.value = self.value, _lookup(configurations, path)
        # Not before: what could not be filled has to be tried again.
        self._config, self._defaults = config, defaults
        return self.value is not before


def _lookup(configurations: Mapping[str, Any], path: str) -> object:
    try:
        return find(configurations, path)
    except KeyError:
        return _ABSENT
