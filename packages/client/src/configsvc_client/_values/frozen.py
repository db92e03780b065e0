"""Read-only JSON values, of the types that ``json.loads`` returns.

Subclasses of ``dict`` and ``list`` rather than views: reading costs the same as from a plain
dict, ``json.dumps`` and ``isinstance`` work, and so do copies and pickles, which are plain.
"""

import json
from typing import Any, NoReturn, cast

__all__ = ["FrozenDict", "FrozenList", "freeze", "freeze_items", "is_same", "loads_frozen"]


def _refuse(*_args: object, **_kwargs: object) -> NoReturn:
    raise TypeError(
        "This configuration is read-only: it is what the server says. Change a"
        " copy.deepcopy() of it, or change it on the server with client.configurations.update()."
    )


class FrozenDict(dict[str, Any]):
    """Read-only JSON object."""

    __slots__ = ()

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def copy(self) -> dict[str, Any]:
        """Return a plain, shallow copy."""
        return dict(self)

    __copy__ = copy

    def __deepcopy__(self, memo: object) -> dict[str, Any]:
        return cast("dict[str, Any]", _thaw(self))

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)


class FrozenList(list[Any]):
    """Read-only JSON array."""

    __slots__ = ()

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = _refuse
    remove = reverse = sort = _refuse

    def copy(self) -> list[Any]:
        """Return a plain, shallow copy."""
        return list(self)

    __copy__ = copy

    def __deepcopy__(self, memo: object) -> list[Any]:
        return cast("list[Any]", _thaw(self))

    def __reduce__(self) -> tuple[type[list[Any]], tuple[list[Any]]]:
        return list, (list(self),)


def loads_frozen(text: bytes) -> Any:
    """Parse a JSON text into read-only values.

    Raises:
        ValueError: the text is not JSON.
    """
    return freeze_items(json.loads(text, object_hook=_freeze_members))


def freeze(value: Any) -> Any:
    """Return a read-only copy of a JSON value."""
    if isinstance(value, dict):
        return FrozenDict({key: freeze(member) for key, member in value.items()})
    if isinstance(value, list | tuple):
        return FrozenList([freeze(item) for item in value])
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


def _freeze_members(members: dict[str, Any]) -> FrozenDict:
    for key, value in members.items():
        if type(value) is list:
            members[key] = freeze_items(value)
    return FrozenDict(members)


def freeze_items(value: Any) -> Any:
    """Return a read-only copy of an array whose objects are frozen; anything else as it is."""
    # The parser ends with the outermost object.
    if type(value) is list:
        return FrozenList([freeze_items(item) for item in value])
    return value


def _thaw(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _thaw(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_thaw(item) for item in value]
    return value
