"""Conversion of JSON values to dataclasses, TypedDicts, NamedTuples and pydantic models.

A type is compiled once to a function that checks and converts, so that a mistake in the
annotations shows when a type is bound and not when a document comes. Members that the type
does not know are ignored, unless asked otherwise: a configuration may be ahead of the code.
"""

import dataclasses
import types
import typing
from collections import abc
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Union

from configsvc_client._binding import scalars
from configsvc_client._binding.limits import limited
from configsvc_client._binding.members import (
    Member,
    evaluate,
    is_alias,
    literals,
    members,
    record_type,
    substitute,
)
from configsvc_client._binding.problems import (
    ConversionError,
    Converter,
    Steps,
    conversion_error,
    guarded,
)
from configsvc_client._binding.pydantic_models import model_tags, pydantic_converter
from configsvc_client._binding.unions import Branch, union
from configsvc_client._values.paths import json_pointer
from configsvc_client.errors import FieldProblem

__all__ = ["converter"]


def converter(model: Any, *, strict: bool = False) -> Converter:
    """Return the function that makes ``model`` of a JSON value.

    Args:
        model: the type.
        strict: whether a member that the type does not know is a problem.

    Raises:
        TypeError: it has annotations that no JSON value can be converted to.
    """
    if isinstance(model, str):
        raise TypeError(f"{model!r} is a string; give the type itself.")
    try:
        return _Compiler(strict=strict).compile(model, model)
    except RecursionError:
        raise TypeError(f"{model!r} is nested in itself without end.") from None


class _Compiler:
    """Compiler of one type with all the types in it, also of recursive ones."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._converters: dict[Any, Converter] = {}

    def compile(self, annotation: Any, where: Any) -> Converter:
        """Return the converter of an annotation.

        Args:
            annotation: the annotation.
            where: the class that has it, for messages.
        """
        annotation = _unwrapped(annotation, where)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if annotation in (Any, object):
            return _anything
        if annotation in (None, type(None)):
            return scalars.null
        if origin is typing.Annotated:
            return limited(self.compile(arguments[0], where), arguments[1:])
        if origin is Literal:
            return scalars.literal(arguments)
        if origin in (Union, types.UnionType):
            return union([self._branch(argument, where) for argument in arguments])
        found = self._container(annotation, origin or annotation, arguments, where)
        if found is None:
            raise TypeError(
                f"{where!r} has {annotation!r}, which no JSON value can be converted to;"
                " bind(…, converter=…) takes a function that can."
            )
        return found

    def _container(
        self, annotation: Any, origin: Any, arguments: tuple[Any, ...], where: Any
    ) -> Converter | None:
        if is_alias(origin):
            meant = _alias_value(origin, arguments)
            return self._memoized(annotation, lambda: self.compile(meant, where))
        if origin in _ARRAYS:
            return self._array(_ARRAYS[origin], arguments, where)
        if origin in _OBJECTS:
            return self._object(arguments, where)
        if isinstance(origin, type):
            return self._class(annotation, origin, arguments)
        return None

    def _memoized(self, annotation: Any, make: Callable[[], Converter]) -> Converter:
        """Return the converter of a type that may be in itself."""
        try:
            if annotation in self._converters:
                return self._converters[annotation]
        except TypeError:
            # What is in Annotated need not be hashable.
            return make()

        def later(value: Any, steps: Steps) -> Any:
            return made(value, steps)

        self._converters[annotation] = later
        made = self._converters[annotation] = make()
        return made

    def _class(self, annotation: Any, kind: type, arguments: tuple[Any, ...]) -> Converter | None:
        simple = scalars.scalar(kind)
        if simple is not None:
            return simple
        if not arguments:
            found = pydantic_converter(kind, strict=self._strict)
            if found is not None:
                return found
        make = record_type(kind)
        if make is None:
            return None
        return self._memoized(annotation, lambda: self._record(kind, arguments, make))

    def _record(
        self, kind: type, arguments: tuple[Any, ...], make: Callable[..., Any]
    ) -> Converter:
        known = members(kind, arguments)
        converters = {name: self.compile(member.annotation, kind) for name, member in known.items()}
        is_tuple, is_strict = issubclass(kind, tuple), self._strict

        def convert(value: Any, steps: Steps) -> Any:
            document = value
            if is_tuple and isinstance(value, list) and len(value) <= len(known):
                document = dict(zip(known, value, strict=False))
            if not isinstance(document, dict):
                raise conversion_error(steps, "must be an object", value)
            given, found = _members(document, known, converters, steps)
            if is_strict:
                found += [
                    FieldProblem(json_pointer((*steps, name)), "is unknown")
                    for name in document
                    if name not in known
                ]
            if found:
                raise ConversionError(found)
            # A __post_init__ may check what no annotation can say.
            return guarded(lambda: make(**given), value, steps)

        return convert

    def _array(
        self, make: Callable[[list[Any]], Any], arguments: tuple[Any, ...], where: Any
    ) -> Converter:
        if make is not tuple or arguments[1:] == (...,) or not arguments:
            each = self.compile(arguments[0] if arguments else Any, where)

            def convert(value: Any, steps: Steps) -> Any:
                made = _each(_list(value, steps), steps, lambda _: each)
                # A set refuses what can't be hashed.
                return guarded(lambda: make(made), value, steps)

            return convert
        fixed = [self.compile(argument, where) for argument in arguments]

        def convert_fixed(value: Any, steps: Steps) -> Any:
            if len(_list(value, steps)) != len(fixed):
                raise conversion_error(steps, f"must have {len(fixed)} items, not {len(value)}")
            return make(_each(value, steps, fixed.__getitem__))

        return convert_fixed

    def _object(self, arguments: tuple[Any, ...], where: Any) -> Converter:
        key_type, value_type = arguments or (str, Any)
        key = scalars.key(key_type) or self.compile(key_type, where)
        each = self.compile(value_type, where)

        def convert(value: Any, steps: Steps) -> Any:
            if not isinstance(value, dict):
                raise conversion_error(steps, "must be an object", value)
            names = list(value)
            keys = _each(names, steps, lambda _: key, names)
            values = _each(list(value.values()), steps, lambda _: each, names)
            return guarded(lambda: dict(zip(keys, values, strict=True)), value, steps)

        return convert

    def _branch(self, annotation: Any, where: Any) -> Branch:
        meant = _unwrapped(annotation, where)
        while typing.get_origin(meant) is typing.Annotated:
            meant = _unwrapped(typing.get_args(meant)[0], where)
        kind, arguments = typing.get_origin(meant) or meant, typing.get_args(meant)
        tags = None
        if isinstance(kind, type) and scalars.scalar(kind) is None:
            tags = model_tags(kind)
            if tags is None and record_type(kind) is not None:
                tags = {
                    name: (choices, member.is_required)
                    for name, member in members(kind, arguments).items()
                    if (choices := literals(member.annotation))
                }
        return Branch(self.compile(annotation, where), tags)


_ARRAYS: Final[dict[Any, Callable[[list[Any]], Any]]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    abc.Sequence: tuple,
    abc.Iterable: tuple,
    abc.Collection: tuple,
    abc.Set: frozenset,
}

_OBJECTS: Final = {dict, abc.Mapping, abc.MutableMapping}

_QUALIFIERS: Final = (
    typing.Required,
    typing.NotRequired,
    typing.Final,
    typing.ClassVar,
    getattr(typing, "ReadOnly", typing.Required),
)


def _unwrapped(annotation: Any, where: Any) -> Any:
    """Return the type that an annotation stands for, without what says nothing about it."""
    while True:
        if typing.get_origin(annotation) in _QUALIFIERS:
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif isinstance(annotation, dataclasses.InitVar):
            annotation = annotation.type
        elif isinstance(annotation, typing.TypeVar):
            annotation = _of_type_variable(annotation)
        elif isinstance(annotation, str | typing.ForwardRef):
            owner = where if isinstance(where, type) else _Anywhere
            annotation = evaluate({"_": annotation}, owner)["_"]
        elif annotation is dataclasses.InitVar:
            annotation = Any
        else:
            return annotation


class _Anywhere:
    """Owner of annotations that belong to no class."""


def _of_type_variable(variable: typing.TypeVar) -> Any:
    """Return what a type parameter stands for that nothing was given for."""
    has_default = getattr(variable, "has_default", None)
    if has_default is not None and has_default():
        return variable.__default__  # type: ignore[attr-defined]
    if variable.__constraints__:
        return Union[variable.__constraints__]  # noqa: UP007 - of a tuple
    return Any if variable.__bound__ is None else variable.__bound__


def _alias_value(alias: Any, arguments: tuple[Any, ...]) -> Any:
    parameters = alias.__type_params__
    return substitute(alias.__value__, dict(zip(parameters, arguments, strict=False)))


def _members(
    document: Mapping[str, Any],
    known: Mapping[str, Member],
    converters: Mapping[str, Converter],
    steps: Steps,
) -> tuple[dict[str, Any], list[FieldProblem]]:
    found: list[FieldProblem] = []
    given: dict[str, Any] = {}
    for name, member in known.items():
        if name in document:
            try:
                given[name] = converters[name](document[name], (*steps, name))
            except ConversionError as error:
                found += error.problems
        elif member.is_required:
            found.append(FieldProblem(json_pointer((*steps, name)), "is missing"))
    return given, found


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
