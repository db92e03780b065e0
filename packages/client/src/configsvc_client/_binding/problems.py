"""Problems of a conversion: what does not fit, and what an exception of foreign code means.

They are logged and shown, so none of them has a value of the configuration in it: they name
types and pointers.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from configsvc_client._callbacks import where_raised
from configsvc_client._values.paths import json_pointer
from configsvc_client.errors import FieldProblem

__all__ = [
    "ConversionError",
    "Converter",
    "ForeignProblem",
    "Steps",
    "conversion_error",
    "guarded",
    "kind_of",
    "problems_of",
]

Steps: TypeAlias = tuple[str | int, ...]
Converter: TypeAlias = Callable[[Any, Steps], Any]
"""Function that converts a JSON value; the steps lead to it from the outermost value.

It raises :class:`ConversionError`.
"""

_NO_VALUE: Final = object()

_MASK: Final = "…"

_ABOUT_TYPES: Final = ("Input should ", "Field required", "Extra inputs ", "Expected `", "Object ")
"""Beginnings of messages of pydantic and msgspec that quote the type and never the input."""


class ForeignProblem(FieldProblem):
    """Problem in the words of foreign code, in which a part of a value may stand.

    It is shown where the application runs, and nowhere else.
    """

    reported: str = "is refused by a check of the application"
    """Problem as others may read it, such as the operators of the server."""


class ConversionError(Exception):
    """Error of a value that does not fit a type, with every problem in it."""

    def __init__(self, problems: list[FieldProblem]) -> None:
        super().__init__(problems)
        self.problems = problems


def conversion_error(steps: Steps, message: str, value: Any = _NO_VALUE) -> ConversionError:
    """Return the error of one value.

    Args:
        steps: the steps that lead to the value.
        message: what was expected.
        value: the value, whose type is to be named.
    """
    if value is not _NO_VALUE:
        message += f", not {kind_of(value)}"
    return ConversionError([FieldProblem(json_pointer(steps), message)])


def kind_of(value: Any) -> str:
    """Return the name of the JSON type of a value, with its article."""
    if value is None:
        return "null"
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return name
    return f"a {type(value).__name__}"


# True is an int in Python, but not in JSON.
_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a number"),
    (str, "a string"),
    (list, "an array"),
    (dict, "an object"),
)


def guarded(make: Callable[[], Any], value: Any, steps: Steps) -> Any:
    """Return what foreign code makes of a value; whatever it raises is a problem of the value.

    Raises:
        ConversionError: it raised any exception.
    """
    try:
        return make()
    except ConversionError:
        raise
    except Exception as error:  # noqa: BLE001 - a validator may raise anything
        found = problems_of(error, value, steps)
    # Here and not above: the exception and its frames hold the values.
    raise ConversionError(found)


def problems_of(error: BaseException, value: Any, steps: Steps) -> list[FieldProblem]:
    """Return the problems that an exception of foreign code stands for, at least one.

    A ``ValueError`` or ``AssertionError`` is how a validator speaks, so its message is kept,
    without those values that stand in it as a whole. Of any other exception nothing but its type
    and where it was raised is kept.

    Args:
        error: what a constructor, a validator or a converter raised.
        value: the JSON value that it was to convert.
        steps: the steps that lead to the value.
    """
    try:
        found = list(_details(error, value, steps))
    except Exception:  # noqa: BLE001 - what looks like pydantic's error need not be one
        found = []
    if not found:
        found = [(steps, _message(error), where_raised(error))]
    hide = _Redaction(value)
    return [_foreign(json_pointer(at), hide(message), what) for at, message, what in found]


def _foreign(pointer: str, message: str, what: str) -> FieldProblem:
    problem = ForeignProblem(pointer, message)
    problem.reported = f"is refused with {what}"
    return problem


def _details(error: BaseException, value: Any, steps: Steps) -> Iterator[tuple[Steps, str, str]]:
    """Yield steps, message, and what to call the problem elsewhere, each without a word of it."""
    if hasattr(error, "error_count"):
        # A pydantic.ValidationError, without importing it.
        details: Any = error
        for detail in details.errors(include_url=False, include_input=False, include_context=False):
            at = (*steps, *_members_of(value, detail["loc"], detail["type"]))
            yield at, detail["msg"], str(detail["type"])
    elif isinstance(error, ExceptionGroup):
        # As cattrs has it: notes tell which member each of them is of.
        for inner in error.exceptions:
            yield from _details(inner, value, (*steps, *_noted(inner)))
    elif type(error).__module__.partition(".")[0] == "msgspec":
        message, _, path = str(error).partition(" - at `$")
        found = re.findall(r"\.([^.\[\]`]+)|\[(\d+)\]", path)
        # A value may have been quoted that looks like a path.
        path_in = _members_of(value, tuple(name or int(index) for name, index in found), "")
        yield (*steps, *path_in), message, type(error).__name__
    else:
        yield steps, _message(error), where_raised(error)


def _members_of(value: Any, location: tuple[str | int, ...], kind: str) -> Iterator[str | int]:
    """Yield the steps of a location that lead into the value, and not into the type.

    pydantic puts the branch of a union and the tag of a function between them.
    """
    for index, step in enumerate(location):
        is_last = index == len(location) - 1
        if isinstance(value, dict) and (step in value or (is_last and kind == "missing")):
            yield step
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            yield step
            value = value[step] if step < len(value) else None


def _noted(error: Exception) -> Iterator[str | int]:
    for note in getattr(error, "__notes__", ()):
        step = getattr(note, "name", getattr(note, "index", None))
        if isinstance(step, str | int):
            yield step


def _message(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if isinstance(error, ValueError | AssertionError):
        # Its own message may be what fails.
        with contextlib.suppress(Exception):
            if text := str(error):
                return f"is refused: {text}"
    return f"is refused with {where_raised(error)}"


class _Redaction:
    """Function that replaces the values of a document in a text."""

    _TOKEN: Final = 3
    """Characters from which on a value is hidden where it is a word of its own."""

    _PART: Final = 8
    """Characters from which on a value is hidden within words too."""

    def __init__(self, value: Any) -> None:
        texts = {text for text in _texts(value) if text}
        # Longest first, as one may be a part of another.
        self._patterns = [
            pattern
            for text in sorted(texts, key=len, reverse=True)
            for pattern in self._patterns_of(text)
        ]

    def __call__(self, message: str) -> str:
        if message.startswith(_ABOUT_TYPES):
            return message
        for pattern in self._patterns:
            message = pattern.sub(_MASK, message)
        return message

    def _patterns_of(self, text: str) -> Iterator[re.Pattern[str]]:
        for shown in {text, repr(text)[1:-1]}:
            escaped = re.escape(shown)
            if len(shown) >= self._PART:
                yield re.compile(escaped)
            elif len(shown) >= self._TOKEN:
                yield re.compile(rf"(?<!\w){escaped}(?!\w)")
            else:
                yield re.compile(rf"(?<=['\"`]){escaped}(?=['\"`])")


def _texts(value: Any) -> Iterator[str]:
    # Without recursion, since that may be what went wrong.
    rest = [value]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            rest += value.values()
        elif isinstance(value, list):
            rest += value
        elif isinstance(value, str):
            yield str(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield repr(value)
