"""Schema defaults, filled into the values of a configuration."""

import copy
from collections.abc import Mapping
from typing import Any

from configsvc_client._values.frozen import freeze
from configsvc_client._values.paths import steps_of

__all__ = ["filled"]


def filled(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``config`` with the members that it lacks, read-only.

    Nothing is made for a default to be in: where the object around it is missing, and has no
    default itself, it stays missing.

    Args:
        config: the values, which stay as they are.
        defaults: values by JSON Pointer, those of outer objects first.
    """
    result = copy.deepcopy(config)
    for pointer, value in defaults.items():
        *outer, name = steps_of(pointer)
        target: Any = result
        for step in outer:
            target = target.get(step) if isinstance(target, dict) else None
        if isinstance(target, dict) and name not in target:
            # A copy, since an inner default may be filled into it.
            target[name] = copy.deepcopy(value)
    frozen: Mapping[str, Any] = freeze(result)
    return frozen
