"""Binding of configurations to types, as whatever has snapshots offers it."""

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from configsvc_client._values.snapshot import Snapshot

if TYPE_CHECKING:
    from configsvc_client._binding.binding import Binding
    from configsvc_client._binding.bound import Bound

__all__ = ["Bindable"]

T = TypeVar("T")


class Bindable:
    """Base of what configurations can be bound of: the types of ``bind``, and its arguments."""

    @overload
    def bind(
        self, path: str, model: type[T], *, schema_defaults: bool = False, strict: bool = False
    ) -> "Bound[T]": ...
    @overload
    def bind(
        self, path: str, *, converter: Callable[[Any], T], schema_defaults: bool = False
    ) -> "Bound[T]": ...
    # The name of a type is no type: whatever is done with the result is an error.
    @overload
    def bind(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
        self, path: str, model: str, *, schema_defaults: bool = False, strict: bool = False
    ) -> None: ...
    # Type checkers have no type yet for ``int | None``, ``Literal[…]`` and ``Annotated[…]``.
    @overload
    def bind(
        self, path: str, model: object, *, schema_defaults: bool = False, strict: bool = False
    ) -> "Bound[Any]": ...
    def bind(
        self,
        path: str,
        model: object = None,
        *,
        converter: Callable[[Any], Any] | None = None,
        schema_defaults: bool = False,
        strict: bool = False,
    ) -> Any:
        """Return a configuration as an object of a type that follows the configuration.

        A later document that does not fit is rejected, whatever it is that refuses it: the
        object stays as it is, and :meth:`status` and :attr:`Bound.error` have the reason.

        Args:
            path: name of a configuration, or a path into one.
            model: a dataclass, a TypedDict, a NamedTuple, a pydantic model, or any other type
                of those that docs/client.md lists. A type checker knows the ``value`` of a
                class; that of ``int | None``, ``Literal[…]`` and ``Annotated[…]`` is ``Any``.
            converter: instead of a type, the function that makes the object of a plain value,
                such as ``TypeAdapter(…).validate_python``. Give the same function each time:
                for each there is an object that follows.
            schema_defaults: whether to fill what the configuration lacks from the defaults
                of its schema; those of the type come after them.
            strict: whether a member that the type does not know is a problem. Otherwise it is
                ignored, as a configuration may be ahead of the code.

        Raises:
            BindError: the configuration does not fit now, or does not exist.
            NotReadyError: there is no snapshot yet, and none came in time.
            TypeError: the type has annotations that JSON can't be converted to.

        Example:
            >>> database = app.bind("database", DatabaseSettings)
            >>> database.value.pool_size
            10
            >>> app.bind("database.pool_size", int | None).value
            10
            >>> app.bind("limits", converter=lambda limits: sorted(limits)).value
            ['per_minute']
        """
        if (model is None) == (converter is None):
            raise TypeError("Give either a type or a converter.")
        if converter is not None and strict:
            raise TypeError("A converter decides itself about members that it does not know.")
        # Not at import, which is to be quick: most programs bind nothing.
        from configsvc_client._binding.binding import Binding  # noqa: PLC0415

        def make(snapshot: Snapshot) -> Binding[Any]:
            return Binding(
                path,
                model,
                snapshot,
                schema_defaults=schema_defaults,
                strict=strict,
                converter=converter,
            )

        return self._bind((path, model, converter, schema_defaults, strict), make)

    def _bind(self, key: Hashable, make: "Callable[[Snapshot], Binding[Any]]") -> "Bound[Any]":
        raise NotImplementedError
