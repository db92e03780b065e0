"""Paths into a snapshot: dotted for people, JSON Pointers (RFC 6901) for everything else."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["find", "json_pointer", "locate", "steps_of"]


def locate(configurations: Mapping[str, Any], path: str) -> tuple[str, list[str]]:
    """Split a path into the name of a configuration and the steps inside it.

    A dotted path names the configuration with the longest name that fits, so that names with
    dots in them can be reached. A key with a dot in it needs a JSON Pointer.

    Args:
        configurations: the configurations that there are, by name.
        path: such as ``database.pool_size`` or ``/database/pool_size``.
    """
    if path.startswith("/") and path not in configurations:
        name, *steps = steps_of(path)
        return name, steps
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        name = ".".join(parts[:count])
        if name in configurations:
            return name, parts[count:]
    return parts[0], parts[1:]


def find(configurations: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path.

    Args:
        configurations: the configurations that there are, by name.
        path: such as ``database.pool_size`` or ``/database/pool_size``.

    Raises:
        KeyError: there is none.
    """
    name, steps = locate(configurations, path)
    value: Any = configurations[name]
    for step in steps:
        value = _member(value, step)
    return value


def json_pointer(steps: Sequence[str | int]) -> str:
    """Return the JSON Pointer (RFC 6901) of some steps; empty without any."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def steps_of(pointer: str) -> list[str]:
    """Return the steps of a JSON Pointer that is not empty."""
    return [_unescape(token) for token in pointer[1:].split("/")]


def _member(value: Any, step: str) -> Any:
    if isinstance(value, Mapping):
        return value[step]
    is_index = step.isascii() and step.isdigit() and (step == "0" or step[0] != "0")
    if isinstance(value, list) and is_index and int(step) < len(value):
        return value[int(step)]
    raise KeyError(step)


def _unescape(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")
