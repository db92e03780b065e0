"""Secrets: values that a schema marks, and that show themselves in no log."""

from collections.abc import Sequence
from typing import Any, Final

from configsvc_client._values.frozen import FrozenDict, FrozenList
from configsvc_client._values.paths import steps_of

__all__ = ["SecretStr", "mark_secrets"]

_ANY: Final = "*"


class SecretStr(str):
    """String with a masked ``repr``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'********'"


def mark_secrets(config: FrozenDict, pointers: Sequence[str]) -> FrozenDict:
    """Return ``config`` with its secrets masked.

    Args:
        config: a configuration.
        pointers: JSON Pointers to secrets, with all that is in them; a step ``*`` is any member
            or item, and an empty pointer everything.
    """
    marked: Any = config
    for pointer in pointers:
        marked = _mark(marked, steps_of(pointer) if pointer else [])
    return marked if isinstance(marked, FrozenDict) else config


def _mark(value: Any, steps: Sequence[str]) -> Any:
    if not steps:
        return _mask(value)
    step, *rest = steps
    if isinstance(value, dict):
        return FrozenDict(
            {
                name: _mark(member, rest) if step in (_ANY, name) else member
                for name, member in value.items()
            }
        )
    if isinstance(value, list):
        return FrozenList(
            [
                _mark(item, rest) if step in (_ANY, str(index)) else item
                for index, item in enumerate(value)
            ]
        )
    return value


def _mask(value: Any) -> Any:
    if isinstance(value, str):
        return SecretStr(value)
    if isinstance(value, dict):
        return FrozenDict({name: _mask(member) for name, member in value.items()})
    if isinstance(value, list):
        return FrozenList([_mask(item) for item in value])
    return value
