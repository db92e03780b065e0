"""Read-only JSON values, of the types that ``json.loads`` returns.

Subclasses of ``dict`` and ``list`` rather than views: reading costs the same as from a plain
dict, ``json.dumps`` and ``isinstance`` work, and so do copies and pickles, which are plain.
A copy is deep, always: what is read-only inside a plain dict would be neither.
"""

import json
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, overload

__all__ = [
    "FrozenDict",
    "FrozenList",
    "freeze",
    "freezer",
    "is_same",
    "loads_frozen",
    "name_sharer",
    "thaw",
]


def _refuse(*_args: object, **_kwargs: object) -> NoReturn:
    raise TypeError(
        "This configuration is read-only: it is what the server says. Change a copy() of it,"
        " or change it on the server with client.configurations.update()."
    )


class FrozenDict(dict[str, Any]):
    """Read-only JSON object."""

    __slots__ = ()

    # To a type checker the values are mappings, which nothing can be written to.
    if not TYPE_CHECKING:
        __setitem__ = __delitem__ = __ior__ = _refuse
        clear = pop = popitem = setdefault = update = _refuse

    def copy(self) -> dict[str, Any]:
        """Return a plain copy, deep to the last member."""
        return {key: _copy(member) for key, member in self.items()}

    __copy__ = copy

    def __deepcopy__(self, memo: object) -> dict[str, Any]:
        return self.copy()

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)


class FrozenList(list[Any]):
    """Read-only JSON array."""

    __slots__ = ()

    if not TYPE_CHECKING:
        __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
        append = clear = extend = insert = pop = _refuse
        remove = reverse = sort = _refuse

    def copy(self) -> list[Any]:
        """Return a plain copy, deep to the last item."""
        return [_copy(item) for item in self]

    __copy__ = copy

    def __deepcopy__(self, memo: object) -> list[Any]:
        return self.copy()

    def __reduce__(self) -> tuple[type[list[Any]], tuple[list[Any]]]:
        return list, (list(self),)


def loads_frozen(text: bytes) -> Any:
    """Parse a JSON text into read-only values.

    Raises:
        ValueError: the text is not JSON.
    """
    return _freeze_items(json.loads(text, object_pairs_hook=freezer(name_sharer())))


def name_sharer() -> Callable[[str], str]:
    """Return a function by which equal names are one string in memory.

    The parser does so within one value, and values are parsed one by one. An interned name is
    the very string of the program that reads by it, and found without a comparison.
    """
    if (3, 12) <= sys.version_info < (3, 12, 7):
        # There, what is interned is never collected (python/cpython#113993).
        names: dict[str, str] = {}
        return lambda name: names.setdefault(name, name)
    return sys.intern


def freezer(name_of: Callable[[str], str]) -> Callable[[list[tuple[str, Any]]], FrozenDict]:
    """Return a function that makes read-only objects of the members that a parser finds.

    Args:
        name_of: the result of :func:`name_sharer`.
    """

    def freeze_members(members: list[tuple[str, Any]]) -> FrozenDict:
        return FrozenDict(
            {
                name_of(name): _freeze_items(value) if type(value) is list else value
                for name, value in members
            }
        )

    return freeze_members


def freeze(value: Any) -> Any:
    """Return a read-only copy of a JSON value."""
    if isinstance(value, dict):
        return FrozenDict({key: freeze(member) for key, member in value.items()})
    if isinstance(value, list | tuple):
        return FrozenList([freeze(item) for item in value])
    return value


@overload
def thaw(value: Mapping[str, Any]) -> dict[str, Any]: ...
@overload
def thaw(value: list[Any] | tuple[Any, ...]) -> list[Any]: ...
@overload
def thaw(value: Any) -> Any: ...
def thaw(value: Any) -> Any:
    """Return a copy of plain dicts, lists and strings, which may be changed.

    For what insists on the exact types, such as ``yaml.safe_dump``, or writes into what it is
    given, such as Django into ``DATABASES``. Secrets are plain strings in it, and no longer
    masked.

    Args:
        value: a value of a configuration, a configuration, a snapshot or a view.

    Example:
        >>> DATABASES = {"default": thaw(app["database"])}
        >>> DATABASES["default"]["host"] = "localhost"
    """
    if isinstance(value, str):
        # Of a subclass, this makes the plain string.
        return str(value)
    if isinstance(value, list | tuple):
        return [thaw(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): thaw(member) for key, member in value.items()}
    return value


def is_same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are the same.

    Python's ``==`` alone would not do: there ``1``, ``1.0`` and ``True`` are equal.
    """
    if one is other:
        return True
    # The texts differ also by the order of members, which JSON does not care about.
    return bool(one == other) and (
        repr(one) == repr(other)
        or json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )


def _freeze_items(value: Any) -> Any:
    """Return a read-only copy of an array whose objects are frozen; anything else as it is."""
    # The parser ends with the outermost object.
    if type(value) is list:
        return FrozenList([_freeze_items(item) for item in value])
    return value


def _copy(value: Any) -> Any:
    # Secrets stay what they are: a copy is printed as easily as what it was made of.
    if isinstance(value, dict):
        return {key: _copy(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value
