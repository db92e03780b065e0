"""What changed between two JSON values: as a patch for programs, as a list for people.

Python takes ``1``, ``1.0`` and ``True`` for equal, and so does every patch library built on its
equality; for a configuration these are three different values.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, TypeAlias, TypeGuard

from configsvc_server.domain.strict_json import JsonObject, JsonValue, json_pointer

__all__ = ["Difference", "differences", "json_patch", "same"]

_Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two values differ."""

    path: str
    """JSON Pointer (RFC 6901) to the place; in the old value for what was removed."""

    kind: Literal["added", "removed", "changed"]
    """What happened there."""

    old: JsonValue | None
    """The value before; ``None`` for what was added, as for what was null."""

    new: JsonValue | None
    """The value after; ``None`` for what was removed, as for what became null."""


def same(left: JsonValue, right: JsonValue) -> bool:
    """Tell whether two values are equal in their types too."""
    if _is_object(left):
        return (
            _is_object(right)
            and left.keys() == right.keys()
            and all(same(item, right[name]) for name, item in left.items())
        )
    if _is_array(left):
        return _is_array(right) and len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


def json_patch(before: JsonValue, after: JsonValue) -> list[JsonObject]:
    """Return a JSON Patch (RFC 6902) that turns ``before`` into exactly ``after``."""
    return list(_Comparison().patch(before, after, ()))


def differences(before: JsonValue, after: JsonValue) -> list[Difference]:
    """Return every member that differs, ordered by path; an array is one value."""
    return list(_Comparison().differences(before, after, ()))


class _Comparison:
    """Compares values, each part of them once however often it is asked for.

    An array is compared from both of its ends, and so is every array in it: looked at anew
    each time, a deep one would be read once for every level.
    """

    def __init__(self) -> None:
        # By identity: all values live for as long as the comparison.
        self._digests: dict[int, bytes] = {}

    def _same(self, left: JsonValue, right: JsonValue) -> bool:
        if isinstance(left, Mapping | Sequence) and isinstance(right, Mapping | Sequence):
            if isinstance(left, str) or isinstance(right, str):
                return type(left) is type(right) and left == right
            return self._digest(left) == self._digest(right)
        return type(left) is type(right) and left == right

    def _digest(self, value: JsonValue) -> bytes:
        """Return what only the same values have in common."""
        if _is_object(value) or _is_array(value):
            known = self._digests.get(id(value))
            if known is None:
                known = self._digests[id(value)] = self._fold(value)
            return known
        # -0.0 is 0.0: the database has but one zero.
        text = repr(value or 0.0) if isinstance(value, float) else repr(value)
        return blake2b(f"{type(value).__name__} {text}".encode(errors="surrogatepass")).digest()

    def _fold(self, value: JsonObject | Sequence[JsonValue]) -> bytes:
        if _is_object(value):
            folded = blake2b(b"{")
            for name in sorted(value):
                folded.update(self._digest(name) + self._digest(value[name]))
        else:
            folded = blake2b(b"[")
            for item in value:
                folded.update(self._digest(item))
        return folded.digest()

    def patch(self, before: JsonValue, after: JsonValue, path: _Path) -> Iterator[JsonObject]:
        if _is_object(before) and _is_object(after):
            for name in sorted(before.keys() | after.keys()):
                where = (*path, name)
                if name not in after:
                    yield {"op": "remove", "path": json_pointer(where)}
                elif name not in before:
                    yield {"op": "add", "path": json_pointer(where), "value": after[name]}
                else:
                    yield from self.patch(before[name], after[name], where)
        elif _is_array(before) and _is_array(after):
            yield from self._array(before, after, path)
        elif not self._same(before, after):
            yield {"op": "replace", "path": json_pointer(path), "value": after}

    def _array(
        self, before: Sequence[JsonValue], after: Sequence[JsonValue], path: _Path
    ) -> Iterator[JsonObject]:
        shorter = min(len(before), len(after))
        start = 0
        while start < shorter and self._same(before[start], after[start]):
            start += 1
        kept = 0
        while kept < shorter - start and self._same(before[-1 - kept], after[-1 - kept]):
            kept += 1
        old_end, new_end = len(before) - kept, len(after) - kept
        common_end = min(old_end, new_end)
        for index in range(start, common_end):
            yield from self.patch(before[index], after[index], (*path, index))
        # From the last to the first, so that no removal moves what is still to be removed.
        for index in reversed(range(common_end, old_end)):
            yield {"op": "remove", "path": json_pointer((*path, index))}
        for index in range(common_end, new_end):
            yield {"op": "add", "path": json_pointer((*path, index)), "value": after[index]}

    def differences(self, before: JsonValue, after: JsonValue, path: _Path) -> Iterator[Difference]:
        if _is_object(before) and _is_object(after):
            for name in sorted(before.keys() | after.keys()):
                where = (*path, name)
                if name not in after:
                    yield Difference(json_pointer(where), "removed", before[name], None)
                elif name not in before:
                    yield Difference(json_pointer(where), "added", None, after[name])
                else:
                    yield from self.differences(before[name], after[name], where)
        elif not self._same(before, after):
            yield Difference(json_pointer(path), "changed", before, after)


def _is_object(value: JsonValue) -> TypeGuard[JsonObject]:
    return isinstance(value, Mapping)


def _is_array(value: JsonValue) -> TypeGuard[Sequence[JsonValue]]:
    return isinstance(value, Sequence) and not isinstance(value, str)
