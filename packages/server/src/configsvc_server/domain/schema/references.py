"""JSON Schema references: ``$ref`` and ``$dynamicRef`` resolved within one schema.

References are resolved before any value is validated, so that validation can neither fetch
nor fail to find a schema. There is one simplification: a name of ``$dynamicAnchor`` must be
unique in a schema, which makes a ``$dynamicRef`` mean the same as a ``$ref``.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote, urldefrag, urljoin

from configsvc_server.domain.schema.locations import IN_PLACE_KEYWORDS, SchemaLocation, subschemas
from configsvc_server.domain.schema.violations import Path, Violation
from configsvc_server.domain.strict_json import (
    JsonObject,
    JsonValue,
    is_array,
    is_object,
    json_pointer,
)

__all__ = ["REFERENCE_KEYWORDS", "AppliedSchemas", "References", "resolve_references"]

REFERENCE_KEYWORDS = ("$ref", "$dynamicRef")
"""The keywords whose value is a reference."""

_UNRESOLVED = "must refer to a place in this schema, such as #/$defs/name: nothing is fetched"
_CIRCULAR = "must not lead back to itself before it has gone into a member or an item"
_DUPLICATE = "must be given only once in a schema"

_ARRAY_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True)
class References:
    """The references of a schema, resolved."""

    schemas: dict[SchemaLocation, JsonValue]
    """The schema and all of its subschemas."""

    targets: dict[Path, SchemaLocation]
    """The schema that a reference means, by the path to the reference's keyword."""

    violations: list[Violation]
    """References that are unresolved or circular, and identifiers that are not unique."""

    def targets_of(self, location: SchemaLocation) -> Iterator[SchemaLocation]:
        """Yield the schemas that the references of one schema mean."""
        for keyword in REFERENCE_KEYWORDS:
            target = self.targets.get((*location, keyword))
            if target is not None:
                yield target


class AppliedSchemas:
    """Schemas that apply wherever others do, found within a bound of steps."""

    def __init__(
        self,
        applied_by: Callable[[SchemaLocation], Iterable[SchemaLocation]],
        *,
        max_steps: int,
    ) -> None:
        """Create a search that has taken no step yet.

        Args:
            applied_by: returns what one schema applies directly.
            max_steps: schemas that all searches together may come by.
        """
        self._applied_by = applied_by
        self._steps_left = max_steps
        self.is_exhausted = False
        """Whether a search ended early."""

    def of(self, locations: Iterable[SchemaLocation]) -> list[SchemaLocation]:
        """Return ``locations`` and what they apply, nearest first, as far as the steps go."""
        applied = dict.fromkeys(locations)
        waiting = list(applied)
        for location in waiting:  # grows while it is walked
            for target in self._applied_by(location):
                if self._steps_left == 0:
                    self.is_exhausted = True
                    return waiting
                self._steps_left -= 1
                if target not in applied:
                    applied[target] = None
                    waiting.append(target)
        return waiting


def resolve_references(schema: JsonValue) -> References:
    """Resolve the references of ``schema``, which must have no metaschema violations."""
    resolver = _Resolver(schema)
    targets: dict[Path, SchemaLocation] = {}
    violations = resolver.violations
    for location, base in resolver.bases.items():
        current = resolver.schemas[location]
        for keyword in REFERENCE_KEYWORDS if is_object(current) else ():
            reference = current.get(keyword) if is_object(current) else None
            if isinstance(reference, str):
                path = (*location, keyword)
                target = resolver.resolve(base, reference)
                if target is None:
                    violations.append(Violation(path, json_pointer(path), _UNRESOLVED))
                else:
                    targets[path] = target
    circular = _circular_references(resolver.schemas, targets)
    violations.extend(Violation(path, json_pointer(path), _CIRCULAR) for path in circular)
    return References(resolver.schemas, targets, violations)


class _Resolver:
    """Index of the URIs and anchors of a schema."""

    def __init__(self, schema: JsonValue) -> None:
        self.schemas: dict[SchemaLocation, JsonValue] = {}
        self.bases: dict[SchemaLocation, str] = {}
        self.violations: list[Violation] = []
        self._resources: dict[str, SchemaLocation] = {}
        self._anchors: dict[tuple[str, str], SchemaLocation] = {}
        self._dynamic_anchors: set[str] = set()
        waiting: list[tuple[SchemaLocation, JsonValue, str]] = [((), schema, "")]
        while waiting:
            location, current, base = waiting.pop()
            if is_object(current):
                base = self._add_identifiers(location, current, base)
                waiting.extend(
                    (location + path, inner, base) for path, inner in subschemas(current)
                )
            self.schemas[location] = current
            self.bases[location] = base
        self._resources.setdefault("", ())

    def _add_identifiers(self, location: SchemaLocation, schema: JsonObject, base: str) -> str:
        """Add the URI and the anchors of a subschema; return the base URI inside of it."""
        own = schema.get("$id")
        if isinstance(own, str):
            joined = _join(base, own)
            if joined is None:
                self._add_violation((*location, "$id"), "must be a URI reference")
            else:
                base = joined[0]
                if self._resources.setdefault(base, location) != location:
                    self._add_violation((*location, "$id"), _DUPLICATE)
        for keyword in ("$anchor", "$dynamicAnchor"):
            name = schema.get(keyword)
            if not isinstance(name, str):
                continue
            is_taken = self._anchors.setdefault((base, name), location) != location
            if is_taken or (keyword == "$dynamicAnchor" and name in self._dynamic_anchors):
                self._add_violation((*location, keyword), _DUPLICATE)
            if keyword == "$dynamicAnchor":
                self._dynamic_anchors.add(name)
        return base

    def _add_violation(self, path: Path, message: str) -> None:
        self.violations.append(Violation(path, json_pointer(path), message))

    def resolve(self, base: str, reference: str) -> SchemaLocation | None:
        """Return the location of the schema that ``reference`` means, if there is one."""
        joined = _join(base, reference)
        if joined is None:
            return None
        uri, fragment = joined
        root = self._resources.get(uri)
        if root is None:
            return None
        if fragment and not fragment.startswith("/"):
            return self._anchors.get((uri, fragment))
        return self._resolve_pointer(root, unquote(fragment))

    def _resolve_pointer(self, root: SchemaLocation, pointer: str) -> SchemaLocation | None:
        path = list(root)
        current = self.schemas[root]
        for token in pointer.split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            if is_object(current) and name in current:
                path.append(name)
                current = current[name]
            elif is_array(current) and _ARRAY_INDEX.fullmatch(token) and int(token) < len(current):
                path.append(int(token))
                current = current[int(token)]
            else:
                return None
        location = tuple(path)
        # What is not at the location of a schema was not checked to be one.
        return location if location in self.schemas else None


def _join(base: str, reference: str) -> tuple[str, str] | None:
    """Return the absolute URI and the fragment, or ``None`` for an invalid reference."""
    if reference.startswith("#"):  # urljoin drops a base that is a URN
        return base, reference[1:]
    try:
        uri, fragment = urldefrag(urljoin(base, reference))
    except ValueError:
        return None
    return uri, fragment


_Applied: TypeAlias = Iterator[tuple[SchemaLocation, Path | None]]
"""Locations of schemas, each with the path of the reference that leads to it, if one does."""


def _circular_references(
    schemas: dict[SchemaLocation, JsonValue], targets: dict[Path, SchemaLocation]
) -> Iterator[Path]:
    """Yield references that apply a schema to the value that it is being applied to."""
    done: set[SchemaLocation] = set()
    for start, schema in schemas.items():
        if start in done:
            continue
        # Depth first: each schema, the reference that led to it, and what is left to follow.
        stack: list[tuple[SchemaLocation, Path | None, _Applied]] = [
            (start, None, _applied_in_place(start, schema, targets))
        ]
        on_stack = {start}
        while stack:
            location, _, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                on_stack.remove(location)
                done.add(location)
                continue
            target, reference = following
            if target in on_stack:
                # Every circle goes through a reference: this one, or else the last before it.
                yield reference or next(by for _, by, _ in reversed(stack) if by is not None)
            elif target not in done:
                on_stack.add(target)
                applied = _applied_in_place(target, schemas[target], targets)
                stack.append((target, reference, applied))


def _applied_in_place(
    location: SchemaLocation, schema: JsonValue, targets: dict[Path, SchemaLocation]
) -> _Applied:
    """Yield the schemas that apply to every value that ``schema`` applies to."""
    if not is_object(schema):
        return
    for keyword in REFERENCE_KEYWORDS:
        path = (*location, keyword)
        if path in targets:
            yield targets[path], path
    for path, _ in subschemas(schema):
        if path[0] in IN_PLACE_KEYWORDS:
            yield location + path, None
