"""Conversion of JSON values to dataclasses, TypedDicts and pydantic models.

A type is compiled once to a function that checks and converts, so that a mistake in the
annotations shows when a type is bound and not when a document comes. Members that the type
does not know are ignored: a configuration may be ahead of the code.
"""

import dataclasses
import types
import typing
from collections import abc
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, Union

from configsvc_client._binding.scalars import (
    ConversionError,
    Converter,
    Steps,
    conversion_error,
    literal,
    null,
    scalar,
)
from configsvc_client._values.paths import json_pointer
from configsvc_client.errors import FieldProblem

__all__ = ["converter"]


def converter(model: Any) -> Converter:
    """Return the function that makes ``model`` of a JSON value.

    Raises:
        TypeError: it has annotations that no JSON value can be converted to.
    """
    return _Compiler().compile(model, model)


class _Compiler:
    """Compiler of one type with all the types in it, also of recursive ones."""

    def __init__(self) -> None:
        self._converters: dict[Any, Converter] = {}

    def compile(self, annotation: Any, where: Any) -> Converter:  # noqa: PLR0911
        """Return the converter of an annotation.

        Args:
            annotation: the annotation.
            where: the class that has it, for messages.
        """
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if annotation in (Any, object):
            return _anything
        if annotation in (None, type(None)):
            return null
        if origin in (typing.Annotated, typing.Required, typing.NotRequired, typing.Final) or (
            origin is typing.ClassVar
        ):
            return self.compile(arguments[0], where)
        if isinstance(annotation, typing.NewType):
            return self.compile(annotation.__supertype__, where)
        if origin is Literal:
            return literal(arguments)
        if origin in (Union, types.UnionType):
            return _union([self.compile(argument, where) for argument in arguments])
        if origin in _ARRAYS or annotation in _ARRAYS:
            return self._array(origin or annotation, arguments, where)
        if origin in _OBJECTS or annotation in _OBJECTS:
            return self._object(arguments, where)
        if isinstance(annotation, type):
            found = self._class(annotation)
            if found is not None:
                return found
        raise TypeError(f"{where!r} has {annotation!r}, which no JSON value can be converted to.")

    def _class(self, kind: type) -> Converter | None:
        if kind in self._converters:
            return self._converters[kind]
        simple = scalar(kind)
        if simple is not None:
            return simple
        if hasattr(kind, "model_validate"):
            return _pydantic(kind)
        if dataclasses.is_dataclass(kind):
            return self._record(kind, kind, _dataclass_members(kind))
        if typing.is_typeddict(kind):
            return self._record(kind, dict, _typeddict_members(kind))
        return None

    def _record(self, kind: type, make: Callable[..., Any], members: "_Members") -> Converter:
        converters: dict[str, Converter] = {}

        def convert(value: Any, steps: Steps) -> Any:
            if not isinstance(value, dict):
                raise conversion_error(steps, "must be an object", value)
            found: list[FieldProblem] = []
            given: dict[str, Any] = {}
            for name, (_, is_required) in members.items():
                if name in value:
                    try:
                        given[name] = converters[name](value[name], (*steps, name))
                    except ConversionError as error:
                        found += error.problems
                elif is_required:
                    found.append(FieldProblem(json_pointer((*steps, name)), "is missing"))
            if found:
                raise ConversionError(found)
            return _call(make, given, steps)

        self._converters[kind] = convert
        for name, (annotation, _) in members.items():
            converters[name] = self.compile(annotation, kind)
        return convert

    def _array(self, origin: Any, arguments: tuple[Any, ...], where: Any) -> Converter:
        make = _ARRAYS[origin]
        is_variadic = make is not tuple or arguments[1:] == (...,) or not arguments
        if is_variadic:
            each = self.compile(arguments[0] if arguments else Any, where)
            return lambda value, steps: make(_each(_list(value, steps), steps, lambda _: each))
        fixed = [self.compile(argument, where) for argument in arguments]

        def convert(value: Any, steps: Steps) -> Any:
            if len(_list(value, steps)) != len(fixed):
                raise conversion_error(steps, f"must have {len(fixed)} items, not {len(value)}")
            return make(_each(value, steps, fixed.__getitem__))

        return convert

    def _object(self, arguments: tuple[Any, ...], where: Any) -> Converter:
        key_type, value_type = arguments or (str, Any)
        key, each = self.compile(key_type, where), self.compile(value_type, where)

        def convert(value: Any, steps: Steps) -> Any:
            if not isinstance(value, dict):
                raise conversion_error(steps, "must be an object", value)
            names = list(value)
            keys = _each(names, steps, lambda _: key)
            values = _each(list(value.values()), steps, lambda _: each, names)
            return dict(zip(keys, values, strict=True))

        return convert


_Members: TypeAlias = dict[str, tuple[Any, bool]]

_ARRAYS: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    abc.Sequence: tuple,
    abc.Iterable: tuple,
    abc.Collection: tuple,
    abc.Set: frozenset,
}

_OBJECTS = {dict, abc.Mapping, abc.MutableMapping}


def _dataclass_members(kind: Any) -> _Members:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {
        field.name: (
            hints[field.name],
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(kind)
        if field.init
    }


def _typeddict_members(kind: Any) -> _Members:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {name: (hint, name in kind.__required_keys__) for name, hint in hints.items()}


def _call(make: Callable[..., Any], given: dict[str, Any], steps: Steps) -> Any:
    try:
        return make(**given)
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:
        # A __post_init__ that checks what no annotation can say.
        raise conversion_error(steps, f"is refused: {error}") from None


def _pydantic(kind: Any) -> Converter:
    def convert(value: Any, steps: Steps) -> Any:
        try:
            return kind.model_validate(value)
        except ValueError as error:
            # A pydantic.ValidationError, without importing it.
            details = error.errors(include_url=False) if hasattr(error, "errors") else ()
            found = [
                FieldProblem(json_pointer((*steps, *detail["loc"])), detail["msg"])
                for detail in details
            ]
            raise ConversionError(
                found or [FieldProblem(json_pointer(steps), str(error))]
            ) from None

    return convert


def _union(converters: list[Converter]) -> Converter:
    def convert(value: Any, steps: Steps) -> Any:
        closest: ConversionError | None = None
        for attempt in converters:
            try:
                return attempt(value, steps)
            except ConversionError as error:
                # That which got furthest into the document is what was meant.
                if closest is None or _depth(error) > _depth(closest):
                    closest = error
        raise closest or conversion_error(steps, "fits nothing")

    return convert


def _depth(error: ConversionError) -> int:
    return max(problem.pointer.count("/") for problem in error.problems)


def _each(
    values: list[Any],
    steps: Steps,
    converter_of: Callable[[int], Converter],
    names: list[str] | None = None,
) -> list[Any]:
    found: list[FieldProblem] = []
    made = []
    for index, value in enumerate(values):
        try:
            made.append(converter_of(index)(value, (*steps, names[index] if names else index)))
        except ConversionError as error:
            found += error.problems
    if found:
        raise ConversionError(found)
    return made


def _list(value: Any, steps: Steps) -> list[Any]:
    if not isinstance(value, list):
        raise conversion_error(steps, "must be an array", value)
    return value


def _anything(value: Any, _steps: Steps) -> Any:
    return value
