"""What the references in a JSON Schema mean: places in the same schema, or nothing.

References are resolved before anything is checked, so that checking can neither fetch nor
fail to find. There is one simplification: a name of ``$dynamicAnchor`` is given only once in
a schema, which makes a ``$dynamicRef`` mean what a ``$ref`` means.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote, urldefrag, urljoin

from configsvc_server.domain.schema.locations import IN_PLACE, is_array, is_object, subschemas
from configsvc_server.domain.schema.violations import Path, Violation
from configsvc_server.domain.strict_json import JsonObject, JsonValue, json_pointer

__all__ = ["REFERENCES", "References", "resolve"]

REFERENCES = ("$ref", "$dynamicRef")
"""The keywords that refer."""

_NOWHERE = "must refer to a place in this schema, such as #/$defs/name: nothing is fetched"
_ENDLESS = "must not lead back to itself before it has gone into a member or an item"
_TAKEN = "must be given only once in a schema"

_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True)
class References:
    """Every reference of a schema, resolved."""

    schemas: dict[Path, JsonValue]
    """Every schema in the document."""

    targets: dict[Path, Path]
    """Where a reference, by the place of its keyword, leads to."""

    violations: list[Violation]
    """References that lead nowhere or in circles, and names that are not unique."""


def resolve(schema: JsonValue) -> References:
    """Find out where the references of ``schema`` lead; its shape must be right."""
    index = _Index(schema)
    targets: dict[Path, Path] = {}
    violations = index.violations
    for place, base in index.bases.items():
        current = index.schemas[place]
        for keyword in REFERENCES if is_object(current) else ():
            reference = current.get(keyword) if is_object(current) else None
            if isinstance(reference, str):
                where = (*place, keyword)
                target = index.find(base, reference)
                if target is None:
                    violations.append(Violation(where, json_pointer(where), _NOWHERE))
                else:
                    targets[where] = target
    circles = _circles(index.schemas, targets)
    violations.extend(Violation(where, json_pointer(where), _ENDLESS) for where in circles)
    return References(index.schemas, targets, violations)


class _Index:
    """Where each URI and each anchor of a schema is."""

    def __init__(self, schema: JsonValue) -> None:
        self.schemas: dict[Path, JsonValue] = {}
        self.bases: dict[Path, str] = {}
        self.violations: list[Violation] = []
        self._root = schema
        self._resources: dict[str, Path] = {}
        self._anchors: dict[tuple[str, str], Path] = {}
        self._dynamic: set[str] = set()
        waiting: list[tuple[Path, JsonValue, str]] = [((), schema, "")]
        while waiting:
            path, current, base = waiting.pop()
            if is_object(current):
                base = self._enter(path, current, base)
                waiting.extend((path + way, inner, base) for way, inner in subschemas(current))
            self.schemas[path] = current
            self.bases[path] = base
        self._resources.setdefault("", ())

    def _enter(self, path: Path, schema: JsonObject, base: str) -> str:
        own = schema.get("$id")
        if isinstance(own, str):
            joined = _join(base, own)
            if joined is None:
                self._refuse((*path, "$id"), "must be a URI reference")
            else:
                base = joined[0]
                if self._resources.setdefault(base, path) != path:
                    self._refuse((*path, "$id"), _TAKEN)
        for keyword in ("$anchor", "$dynamicAnchor"):
            name = schema.get(keyword)
            if not isinstance(name, str):
                continue
            is_taken = self._anchors.setdefault((base, name), path) != path
            if is_taken or (keyword == "$dynamicAnchor" and name in self._dynamic):
                self._refuse((*path, keyword), _TAKEN)
            if keyword == "$dynamicAnchor":
                self._dynamic.add(name)
        return base

    def _refuse(self, where: Path, message: str) -> None:
        self.violations.append(Violation(where, json_pointer(where), message))

    def find(self, base: str, reference: str) -> Path | None:
        """Return the place of the schema that ``reference`` means, if there is one."""
        joined = _join(base, reference)
        if joined is None:
            return None
        uri, fragment = joined
        root = self._resources.get(uri)
        if root is None:
            return None
        if fragment and not fragment.startswith("/"):
            return self._anchors.get((uri, fragment))
        return self._walk(root, unquote(fragment))

    def _walk(self, start: Path, fragment: str) -> Path | None:
        path = list(start)
        current = self.schemas[start]
        for token in fragment.split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            if is_object(current) and name in current:
                path.append(name)
                current = current[name]
            elif is_array(current) and _INDEX.fullmatch(token) and int(token) < len(current):
                path.append(int(token))
                current = current[int(token)]
            else:
                return None
        place = tuple(path)
        # What is no schema by its place was not checked to be one.
        return place if place in self.schemas else None


def _join(base: str, reference: str) -> tuple[str, str] | None:
    if reference.startswith("#"):  # urljoin drops a base that is a URN
        return base, reference[1:]
    try:
        uri, fragment = urldefrag(urljoin(base, reference))
    except ValueError:
        return None
    return uri, fragment


def _circles(schemas: dict[Path, JsonValue], targets: dict[Path, Path]) -> Iterator[Path]:
    """Return references that apply a schema to the very value that it is being applied to."""
    done: set[Path] = set()
    for start, schema in schemas.items():
        if start in done:
            continue
        # The way here: each schema, the reference that led to it, and what is left to follow.
        trail: list[_Step] = [(start, None, _applied(start, schema, targets))]
        on_trail = {start}
        while trail:
            place, _, rest = trail[-1]
            following = next(rest, None)
            if following is None:
                trail.pop()
                on_trail.remove(place)
                done.add(place)
                continue
            target, reference = following
            if target in on_trail:
                # Every circle goes through a reference: this one, or else the last before it.
                yield reference or next(by for _, by, _ in reversed(trail) if by is not None)
            elif target not in done:
                on_trail.add(target)
                trail.append((target, reference, _applied(target, schemas[target], targets)))


_Step: TypeAlias = tuple[Path, Path | None, Iterator[tuple[Path, Path | None]]]


def _applied(
    place: Path, schema: JsonValue, targets: dict[Path, Path]
) -> Iterator[tuple[Path, Path | None]]:
    """Return what applies wherever ``schema`` applies, and by which reference it does."""
    if not is_object(schema):
        return
    for keyword in REFERENCES:
        where = (*place, keyword)
        if where in targets:
            yield targets[where], where
    for way, _ in subschemas(schema):
        if way[0] in IN_PLACE:
            yield place + way, None
