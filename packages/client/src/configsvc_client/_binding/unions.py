"""Conversion to one of several types, told apart by a tag where there is one."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from configsvc_client._binding.problems import ConversionError, Converter, Steps, conversion_error

__all__ = ["Branch", "union"]


class Branch(NamedTuple):
    """Alternative of a union."""

    convert: Converter
    tags: Mapping[str, tuple[tuple[Any, ...], bool]] | None
    """Members with listed values, and whether they are required; ``None`` for no object."""


def union(branches: Sequence[Branch]) -> Converter:
    """Return the converter to the first alternative that fits.

    Where all objects among them have a member with a ``Literal`` of its own, that member
    decides, and what is reported is what that alternative does not accept.
    """
    tag = _tag([branch for branch in branches if branch.tags is not None])
    if tag is None:
        return _first_that_fits([branch.convert for branch in branches])
    by_value = {
        (isinstance(value, bool), value): branch.convert
        for branch in branches
        if branch.tags is not None
        for value in branch.tags[tag][0]
    }
    expected = f"must be one of {', '.join(repr(value) for _, value in by_value)}"
    others = _first_that_fits([branch.convert for branch in branches if branch.tags is None])
    defaults = [b.convert for b in branches if b.tags is not None and not b.tags[tag][1]]

    def convert(value: Any, steps: Steps) -> Any:
        if not isinstance(value, dict):
            return others(value, steps)
        found = value.get(tag)
        if tag in value and isinstance(found, bool | int | str | None):
            chosen = by_value.get((isinstance(found, bool), found))
            if chosen is not None:
                return chosen(value, steps)
        elif tag not in value and defaults:
            return _first_that_fits(defaults)(value, steps)
        try:
            return others(value, steps)
        except ConversionError:
            message = expected if tag in value else "is missing"
        raise conversion_error((*steps, tag), message)

    return convert


def _tag(branches: list[Branch]) -> str | None:
    objects = [branch.tags for branch in branches if branch.tags is not None]
    if len(objects) <= 1:
        return None
    for name in objects[0]:
        if all(name in tags for tags in objects):
            values = [(isinstance(v, bool), v) for tags in objects for v in tags[name][0]]
            if len(values) == len(set(values)):
                return name
    return None


def _first_that_fits(converters: Sequence[Converter]) -> Converter:
    def convert(value: Any, steps: Steps) -> Any:
        closest: ConversionError | None = None
        for attempt in converters:
            try:
                return attempt(value, steps)
            except ConversionError as error:
                # That which got furthest into the document is what was meant.
                if closest is None or _depth(error) > _depth(closest):
                    closest = error
        raise closest or conversion_error(steps, "must be an object", value)

    return convert


def _depth(error: ConversionError) -> int:
    return max(problem.pointer.count("/") for problem in error.problems)
