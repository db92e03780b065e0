"""Members of classes: names, types and whether they are required, with generics resolved."""

import dataclasses
import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

__all__ = ["Member", "evaluate", "is_alias", "literals", "members", "record_type", "substitute"]

_NOTHING: Final = object()


class Member(NamedTuple):
    """Member of a class that JSON objects are converted to."""

    annotation: Any
    is_required: bool


def record_type(kind: type) -> Callable[..., Any] | None:
    """Return what makes an object of a class from its members; ``None`` where it has none."""
    if typing.is_typeddict(kind):
        return dict
    is_record = dataclasses.is_dataclass(kind) or _is_namedtuple(kind)
    return kind if is_record else None


def members(kind: Any, arguments: tuple[Any, ...]) -> dict[str, Member]:
    """Return the members of a class by name.

    Args:
        kind: a dataclass, a TypedDict or a NamedTuple.
        arguments: what its type parameters stand for; empty for what they may be.

    Raises:
        TypeError: an annotation refers to a name that is not defined.
    """
    if dataclasses.is_dataclass(kind):
        fields = list(_init_fields(kind))
        hints = _hints(kind, arguments, {field.name for field in fields})
        missing = dataclasses.MISSING
        return {
            field.name: Member(
                hints[field.name], field.default is missing and field.default_factory is missing
            )
            for field in fields
        }
    if typing.is_typeddict(kind):
        hints = _hints(kind, arguments, None)
        return {name: Member(hint, _is_required(kind, name, hint)) for name, hint in hints.items()}
    hints = _hints(kind, arguments, set(kind._fields))
    return {
        name: Member(hints.get(name, Any), name not in kind._field_defaults)
        for name in kind._fields
    }


def evaluate(annotations: Mapping[str, Any], owner: Any) -> dict[str, Any]:
    """Return the types that some annotations of a class mean, with their extras.

    Args:
        annotations: by name; strings are evaluated as in the module of the class. A name that
            is not there is looked for in the class and where the call came from, for classes
            that are defined in functions.
        owner: the class that has them.

    Raises:
        TypeError: a name is defined nowhere.
    """
    content = {"__module__": owner.__module__, "__annotations__": dict(annotations)}
    holder: Any = type("_Holder", (), content)
    if hasattr(owner, "__type_params__"):
        holder.__type_params__ = owner.__type_params__
    is_local = "<locals>" in getattr(owner, "__qualname__", "")
    names: dict[str, Any] = {owner.__name__: owner} if is_local else {}
    while True:
        try:
            return typing.get_type_hints(holder, localns=names, include_extras=True)
        except NameError as error:
            name = str(error.name)
            found = _look_up(name, owner)
        if found is _NOTHING or name in names:
            raise TypeError(f"{owner!r} has an annotation with {name!r}, which is not defined.")
        names[name] = found


def substitute(annotation: Any, mapping: Mapping[Any, Any]) -> Any:
    """Return an annotation with type parameters replaced by what they stand for."""
    if not mapping:
        return annotation
    if isinstance(annotation, typing.TypeVar):
        return mapping.get(annotation, annotation)
    if isinstance(annotation, dataclasses.InitVar):
        return dataclasses.InitVar(substitute(annotation.type, mapping))
    # A generic class has parameters too, and is none of them.
    parameters = getattr(annotation, "__parameters__", ())
    if parameters and typing.get_origin(annotation) is not None:
        return annotation[tuple(mapping.get(parameter, parameter) for parameter in parameters)]
    return annotation


def literals(annotation: Any) -> tuple[Any, ...]:
    """Return the JSON values that an annotation lists; empty where it is no ``Literal``."""
    while True:
        origin = typing.get_origin(annotation)
        if origin in _WRAPPERS:
            annotation = typing.get_args(annotation)[0]
        elif is_alias(annotation):
            annotation = annotation.__value__
        elif origin is typing.Literal:
            choices = typing.get_args(annotation)
            return tuple(c.value if isinstance(c, Enum) else c for c in choices)
        else:
            return ()


def is_alias(annotation: Any) -> bool:
    """Return whether it was made by a ``type`` statement, or by the backport of it."""
    return type(annotation).__name__ == "TypeAliasType"


_WRAPPERS: Final = (typing.Annotated, typing.Required, typing.NotRequired, typing.Final)


def _init_fields(kind: Any) -> Iterator["dataclasses.Field[Any]"]:
    # dataclasses.fields() leaves out the pseudo-fields of InitVar.
    for field in kind.__dataclass_fields__.values():
        role = getattr(field, "_field_type", None)
        if field.init and getattr(role, "name", "") != "_FIELD_CLASSVAR":
            yield field


def _is_namedtuple(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields") and hasattr(kind, "_field_defaults")


def _is_required(kind: Any, name: str, hint: Any) -> bool:
    # Of an annotation that is a string, the class itself does not know.
    origin = typing.get_origin(hint)
    if origin in (typing.Required, typing.NotRequired):
        return origin is typing.Required
    return name in kind.__required_keys__


def _hints(kind: Any, arguments: tuple[Any, ...], names: set[str] | None) -> dict[str, Any]:
    mappings: dict[Any, dict[Any, Any]] = {}
    _visit(kind, dict(zip(_parameters(kind), arguments, strict=False)), mappings)
    # A TypedDict has no bases any more when it is made, only a record of them.
    classes = list(mappings) if typing.is_typeddict(kind) else kind.__mro__[::-1]
    hints: dict[str, Any] = {}
    inherited: dict[str, Any] = {}
    for owner in classes:
        own = {
            name: annotation
            for name, annotation in inspect.get_annotations(owner).items()
            if (names is None or name in names) and inherited.get(name, _NOTHING) is not annotation
        }
        inherited.update(own)
        for name, hint in evaluate(own, owner).items():
            inner: Any = getattr(hint, "type", None)
            if isinstance(hint, dataclasses.InitVar) and isinstance(inner, str):
                resolved = evaluate({name: inner}, owner)[name]
            else:
                resolved = hint
            hints[name] = substitute(resolved, mappings.get(owner, {}))
    return hints


def _visit(kind: Any, mapping: dict[Any, Any], found: dict[Any, dict[Any, Any]]) -> None:
    """Find what the type parameters of each base of a class stand for, bases first."""
    for base in kind.__dict__.get("__orig_bases__", kind.__bases__):
        origin = typing.get_origin(base) or base
        if isinstance(origin, type):
            arguments = [substitute(a, mapping) for a in typing.get_args(base)]
            _visit(origin, dict(zip(_parameters(origin), arguments, strict=False)), found)
    found[kind] = mapping


def _parameters(kind: Any) -> tuple[Any, ...]:
    found: tuple[Any, ...] = getattr(kind, "__parameters__", ())
    return found


def _look_up(name: str, owner: Any) -> Any:
    if name == owner.__name__:
        return owner
    if name in vars(owner):
        return vars(owner)[name]
    frame = sys._getframe(1)
    while frame is not None:
        is_ours = str(frame.f_globals.get("__name__")).startswith(_PACKAGE)
        if not is_ours and name in frame.f_locals:
            return frame.f_locals[name]
        if frame.f_back is None:
            break
        frame = frame.f_back
    return _NOTHING


_PACKAGE: Final = "configsvc_client."
