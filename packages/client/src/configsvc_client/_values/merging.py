"""JSON Merge Patches (RFC 7396)."""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["leaves", "merged"]


def merged(target: Any, patch: Any) -> Any:
    """Return ``target`` with a patch applied; neither is modified.

    What the patch leaves alone is shared with ``target``.
    """
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def leaves(patch: Mapping[str, Any], steps: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Return the paths of the values that a patch sets or removes, as steps."""
    for key, value in patch.items():
        if isinstance(value, Mapping):
            yield from leaves(value, (*steps, key))
        else:
            yield (*steps, key)
