"""Secrets: strings that a schema marks as confidential, masked wherever they are shown."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from configsvc_client._values.frozen import FrozenDict, FrozenList
from configsvc_client._values.paths import steps_of

__all__ = ["Secret", "mark_default_secrets", "mark_secrets"]

_MASK: Final = "'**********'"

_ANY: Final = "*"
"""Step of a pointer that stands for every member or item."""

_Paths: TypeAlias = list[list[str]]


class Secret(str):
    """String that masks its ``repr``, and is its text everywhere else.

    What shows values shows their ``repr``: a dict or a dataclass with a secret in it, a
    difference, a log line with ``%r``. Comparison, ``str()``, f-strings, ``json.dumps`` and
    drivers get the text. Copies and pickles stay masked; :func:`thaw`, ``str()`` and whatever
    makes another string of it (``+``, a slice) give a plain one.

    Example:
        >>> password = Secret("hunter2")
        >>> {"password": password}
        {'password': '**********'}
        >>> password == "hunter2", f"postgres://app:{password}@db1"
        (True, 'postgres://app:hunter2@db1')
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return _MASK


def mark_secrets(config: FrozenDict, pointers: Iterable[str]) -> FrozenDict:
    """Return ``config`` with the strings that some pointers lead to as :class:`Secret`.

    What lies off the pointers is shared with ``config``, which stays as it is. Pointers that
    lead nowhere, or to a number, a boolean or null, change nothing.

    Args:
        config: the values of a configuration.
        pointers: JSON Pointers into it; the step ``*`` stands for every index or member. Where
            one leads to an object or array, every string in that is secret.
    """
    paths = _paths(pointers)
    marked: FrozenDict = _mark(config, paths) if paths else config
    return marked


def mark_default_secrets(defaults: Mapping[str, Any], pointers: Iterable[str]) -> FrozenDict:
    """Return defaults with those strings as :class:`Secret` that some pointers lead to.

    Args:
        defaults: values by JSON Pointer into a configuration.
        pointers: as of :func:`mark_secrets`.
    """
    paths = _paths(pointers)
    marked = {}
    for pointer, value in defaults.items():
        inner = paths
        for step in steps_of(pointer):
            inner = _inside(inner, step)
        marked[pointer] = _mark(value, inner) if inner else value
    return FrozenDict(marked)


def _paths(pointers: Iterable[str]) -> _Paths:
    return [steps_of(pointer) if pointer else [] for pointer in pointers]


def _mark(value: Any, paths: _Paths) -> Any:
    if isinstance(value, str):
        is_meant = any(not path for path in paths)
        return Secret(value) if is_meant and not isinstance(value, Secret) else value
    if isinstance(value, dict):
        members = {key: _mark_part(member, key, paths) for key, member in value.items()}
        is_same = all(members[key] is member for key, member in value.items())
        return value if is_same else FrozenDict(members)
    if isinstance(value, list):
        items = [_mark_part(item, str(index), paths) for index, item in enumerate(value)]
        is_same = all(new is old for new, old in zip(items, value, strict=True))
        return value if is_same else FrozenList(items)
    return value


def _mark_part(value: Any, step: str, paths: _Paths) -> Any:
    inner = _inside(paths, step)
    return _mark(value, inner) if inner else value


def _inside(paths: _Paths, step: str) -> _Paths:
    # A path that has ended already goes on to everything below its end.
    return [path[1:] for path in paths if not path or path[0] in (step, _ANY)]
