"""Limits of annotations: what ``Annotated`` adds to a type, of whichever library it is.

Recognised by their attributes, so that annotated-types, pydantic's ``Field`` and msgspec's
``Meta`` are understood and none of them is imported.
"""

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from configsvc_client._binding.problems import Converter, Steps, conversion_error, guarded

__all__ = ["limited"]


def limited(convert: Converter, metadata: Iterable[Any]) -> Converter:
    """Return a converter that checks what ``convert`` makes.

    Args:
        convert: the converter of the type without limits.
        metadata: what ``Annotated`` has beside the type; what is not known is ignored.
    """
    checks = [check for item in metadata for check in _checks(item)]
    if not checks:
        return convert

    def convert_and_check(value: Any, steps: Steps) -> Any:
        made = convert(value, steps)
        for holds, expected in checks:
            if not guarded(lambda holds=holds: holds(made), value, steps):  # type: ignore[misc]
                raise conversion_error(steps, f"must {expected}")
        return made

    return convert_and_check


def _checks(item: Any) -> Iterator[tuple[Callable[[Any], bool], str]]:
    if isinstance(item, type):
        return
    for name, (holds, expected) in _LIMITS.items():
        limit = getattr(item, name, None)
        if limit is not None and not callable(limit):
            yield _check(holds, limit), f"{expected} {_shown(name, limit)}"
    # A pydantic FieldInfo keeps its limits in there.
    inner = getattr(item, "metadata", None)
    if isinstance(inner, list | tuple):
        for part in inner:
            yield from _checks(part)


def _check(holds: Callable[[Any, Any], Any], limit: Any) -> Callable[[Any], bool]:
    return lambda value: bool(holds(value, limit))


def _shown(name: str, limit: Any) -> str:
    if name == "pattern":
        return repr(getattr(limit, "pattern", limit))
    return f"{limit} long" if name.endswith("_length") else str(limit)


def _is_multiple(value: Any, of: Any) -> bool:
    if isinstance(value, float) or isinstance(of, float):
        # 0.3 is a multiple of 0.1 to everybody but a computer.
        return math.isclose(math.remainder(value / of, 1), 0, abs_tol=1e-9)
    return bool(value % of == 0)


_LIMITS: Final[dict[str, tuple[Callable[[Any, Any], Any], str]]] = {
    "gt": (operator.gt, "be more than"),
    "ge": (operator.ge, "be at least"),
    "lt": (operator.lt, "be less than"),
    "le": (operator.le, "be at most"),
    "multiple_of": (_is_multiple, "be a multiple of"),
    "min_length": (lambda value, limit: len(value) >= limit, "be at least"),
    "max_length": (lambda value, limit: len(value) <= limit, "be at most"),
    "pattern": (lambda value, pattern: re.search(pattern, value) is not None, "match"),
}
