"""Differences of two JSON values: a JSON Patch for programs, a list of members for people.

Python takes ``1``, ``1.0`` and ``True`` for equal, and so does every patch library built on its
equality; for a configuration these are three different values.

A list of differences can be far larger than both values: each has its whole path. Where it would be
too large, there is one difference, which is everything.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal, TypeAlias

from configsvc_server.domain.strict_json import (
    JsonObject,
    JsonValue,
    dumps,
    is_array,
    is_object,
    json_pointer,
)

__all__ = ["MAX_PATHS", "Difference", "differences", "json_patch"]

MAX_PATHS: Final = 2 * 1024 * 1024
"""Bytes of all the paths of a list of differences."""

# What JSON needs for an operation or a difference, beside its path and its values.
_FRAME: Final = 48

_Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A member that differs between two values."""

    path: str
    """JSON Pointer (RFC 6901) to the member; in the old value for what was removed."""

    kind: Literal["added", "removed", "changed"]
    """The kind of change."""

    old: JsonValue | None
    """The value before; ``None`` for what was added, as for what was null."""

    new: JsonValue | None
    """The value after; ``None`` for what was removed, as for what became null."""


def json_patch(before: JsonValue, after: JsonValue) -> list[JsonObject]:
    """Return a JSON Patch (RFC 6902) that turns ``before`` into exactly ``after``."""
    operations: list[JsonObject] = []
    size = 0
    for operation in _Comparison().patch(before, after, ()):
        size += _FRAME + len(dumps(operation["path"]))
        if size > MAX_PATHS:
            return [{"op": "replace", "path": "", "value": after}]
        operations.append(operation)
    return operations


def differences(before: JsonValue, after: JsonValue) -> list[Difference]:
    """Return every member that differs, ordered by path; an array is one value."""
    found: list[Difference] = []
    size = 0
    for difference in _Comparison().differences(before, after, ()):
        size += _FRAME + len(dumps(difference.path))
        if size > MAX_PATHS:
            return [Difference("", "changed", before, after)]
        found.append(difference)
    return found


class _Comparison:
    """Comparison of two values that digests each part of them only once.

    An array is compared from both of its ends, and so is every array in it: without memory,
    a deep one would be read once for every level.
    """

    def __init__(self) -> None:
        # By identity: all values live for as long as the comparison.
        self._digests: dict[int, bytes] = {}

    def _same(self, left: JsonValue, right: JsonValue) -> bool:
        if is_object(left) or is_array(left):
            return (is_object(right) or is_array(right)) and (
                self._digest(left) == self._digest(right)
            )
        return type(left) is type(right) and left == right

    def _digest(self, value: JsonValue) -> bytes:
        """Return a digest that only equal values of equal types share."""
        if is_object(value) or is_array(value):
            known = self._digests.get(id(value))
            if known is None:
                known = self._digests[id(value)] = self._digest_members(value)
            return known
        # -0.0 is 0.0: the database has but one zero.
        text = repr(value or 0.0) if isinstance(value, float) else repr(value)
        return blake2b(f"{type(value).__name__} {text}".encode(errors="surrogatepass")).digest()

    def _digest_members(self, value: JsonObject | Sequence[JsonValue]) -> bytes:
        if is_object(value):
            digest = blake2b(b"{")
            for name in sorted(value):
                digest.update(self._digest(name) + self._digest(value[name]))
        else:
            digest = blake2b(b"[")
            for item in value:
                digest.update(self._digest(item))
        return digest.digest()

    def patch(self, before: JsonValue, after: JsonValue, path: _Path) -> Iterator[JsonObject]:
        """Yield the operations that turn ``before`` into ``after``, both at ``path``."""
        if is_object(before) and is_object(after):
            for name in sorted(before.keys() | after.keys()):
                inner = (*path, name)
                if name not in after:
                    yield {"op": "remove", "path": json_pointer(inner)}
                elif name not in before:
                    yield {"op": "add", "path": json_pointer(inner), "value": after[name]}
                else:
                    yield from self.patch(before[name], after[name], inner)
        elif is_array(before) and is_array(after):
            yield from self._patch_array(before, after, path)
        elif not self._same(before, after):
            yield {"op": "replace", "path": json_pointer(path), "value": after}

    def _patch_array(
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
        """Yield the members that differ between ``before`` and ``after``, both at ``path``."""
        if is_object(before) and is_object(after):
            for name in sorted(before.keys() | after.keys()):
                inner = (*path, name)
                if name not in after:
                    yield Difference(json_pointer(inner), "removed", before[name], None)
                elif name not in before:
                    yield Difference(json_pointer(inner), "added", None, after[name])
                else:
                    yield from self.differences(before[name], after[name], inner)
        elif not self._same(before, after):
            yield Difference(json_pointer(path), "changed", before, after)
