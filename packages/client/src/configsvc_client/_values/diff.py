"""Differences between two snapshots, value by value."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, overload

from configsvc_client._values.paths import json_pointer

__all__ = ["Difference", "Differences", "compare"]

_ABSENT: Final = object()


class Difference(NamedTuple):
    """Difference of one value.

    Example:
        >>> app.diff()[0].path
        '/database/pool_size'
    """

    path: str
    """JSON Pointer to the value, which :meth:`ConfigView.get` takes."""
    old: Any
    """Value before; ``None`` where there was none."""
    new: Any
    """Value now; ``None`` where there is none any more."""
    kind: str
    """``added``, ``removed`` or ``changed``."""

    def __str__(self) -> str:
        if self.kind == "added":
            return f"+ {self.path}: {self.new!r}"
        if self.kind == "removed":
            return f"- {self.path}: {self.old!r}"
        return f"~ {self.path}: {self.old!r} → {self.new!r}"


class Differences(Sequence[Difference]):
    """Sequence of differences, shown with one line for each.

    Example:
        >>> app.diff(environment="prod")
        ~ /database/pool_size: 8 → 10
        + /limits: {'per_minute': 60}
    """

    def __init__(self, found: Sequence[Difference]) -> None:
        self._found = tuple(found)

    @overload
    def __getitem__(self, index: int) -> Difference: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Difference]: ...
    def __getitem__(self, index: int | slice) -> Difference | Sequence[Difference]:
        return self._found[index]

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return "\n".join(map(str, self._found)) or "no differences"


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Differences:
    """Return the differences; objects are compared by member, arrays as a whole."""
    return Differences(list(_walk((), old, new)))


def _walk(steps: tuple[str, ...], old: Any, new: Any) -> Iterator[Difference]:
    if old is new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            yield from _walk((*steps, key), old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif old is _ABSENT:
        yield Difference(json_pointer(steps), None, new, "added")
    elif new is _ABSENT:
        yield Difference(json_pointer(steps), old, None, "removed")
    elif old != new or type(old) is not type(new):
        yield Difference(json_pointer(steps), old, new, "changed")
