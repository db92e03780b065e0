"""Rejections: why an application does not use a snapshot, in words that have no values in them.

A bound object that a document does not fit rejects it, and so does a callback that raises. What
foreign code says is left out, also what is redacted in the log: whoever may read an environment may
read these, and a secret may stand in pieces.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from configsvc_client._values.paths import json_pointer, locate

if TYPE_CHECKING:
    from configsvc_client._binding.binding import Binding
    from configsvc_client._view.listeners import Listener

__all__ = ["MOST", "Reason", "reasons"]

MOST: Final = 20
"""Reasons that are reported of one snapshot."""

_LONGEST_MESSAGE: Final = 300


class Reason(NamedTuple):
    """Reason to reject a snapshot."""

    configuration: str | None
    """Name of the configuration; ``None`` for the snapshot as a whole."""
    pointer: str
    """JSON Pointer within it."""
    message: str
    """Expectation that is not met, or what failed, to be read after the pointer."""


def reasons(
    configurations: Mapping[str, Any],
    bindings: "Sequence[Binding[Any]]",
    failing: "Iterable[Listener]",
) -> tuple[Reason, ...]:
    """Return the reasons for which a snapshot is rejected, each once.

    Args:
        configurations: the configurations of the snapshot, by name.
        bindings: the bound objects that follow it.
        failing: the callbacks whose last call has failed.
    """
    found: dict[Reason, None] = {}
    for binding in bindings:
        name, base = _place(configurations, binding.path)
        error = binding.error
        if error is not None and not error.errors:
            found[Reason(name, base, "is missing")] = None
        for problem in error.errors if error is not None else ():
            message = str(getattr(problem, "reported", problem.message))
            found[_reason(name, base + problem.pointer, message)] = None
        for listener in binding.listeners():
            if listener.failure is not None:
                found[_reason(name, base, listener.failure)] = None
    for callback in failing:
        where, pointer = _place(configurations, callback.path) if callback.path else (None, "")
        found[_reason(where, pointer, callback.failure or "")] = None
    return tuple(found)[:MOST]


def _place(configurations: Mapping[str, Any], path: str) -> tuple[str, str]:
    name, steps = locate(configurations, path)
    return name, json_pointer(steps)


def _reason(configuration: str | None, pointer: str, message: str) -> Reason:
    shown = message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 1] + "…"
    return Reason(configuration, pointer, shown)
