"""The defaults that a JSON Schema gives to the members of a configuration."""

from collections.abc import Iterable, Iterator

from configsvc_server.domain.errors import FieldError, InvalidError
from configsvc_server.domain.schema.locations import is_array, is_object
from configsvc_server.domain.schema.references import REFERENCES, References, resolve
from configsvc_server.domain.schema.violations import Path
from configsvc_server.domain.strict_json import MAX_DEPTH, JsonValue, dumps, json_pointer

__all__ = ["schema_defaults"]

# Whoever wrote a schema may have written a bomb; an honest one stays far below all of these.
_MAX_DEFAULTS = 1_000
_MAX_MEMBERS = 5_000
_MAX_STEPS = 50_000
_MAX_BYTES = 256 * 1024


def schema_defaults(schema: JsonValue) -> dict[str, JsonValue]:
    """Return the default of each member by JSON Pointer, outer members first.

    Members of members are listed whether or not the outer one has a default of its own.
    Where a default is given in several places, the one nearest to the member counts.
    Alternatives and conditions are not looked into: their defaults depend on the value.

    Raises:
        InvalidError: together they are too large; by references, a small schema can have that.
    """
    return _Search(resolve(schema)).defaults()


class _Search:
    def __init__(self, references: References) -> None:
        self._references = references
        self._found: dict[str, JsonValue] = {}
        self._members = 0
        self._steps = 0
        self._bytes = 0

    def defaults(self) -> dict[str, JsonValue]:
        level: dict[Path, list[Path]] = {(): [()]}
        for _ in range(MAX_DEPTH):
            level = self._next(level)
            for member, places in level.items():
                if len(self._found) == _MAX_DEFAULTS:
                    return self._found
                self._note(member, places)
        return self._found

    def _next(self, level: dict[Path, list[Path]]) -> dict[Path, list[Path]]:
        """Return the members of members, each with the schemas for it."""
        following: dict[Path, list[Path]] = {}
        for member, places in level.items():
            for place in self._applied(places):
                for name in self._properties(place):
                    if self._members == _MAX_MEMBERS:
                        return following
                    self._members += 1
                    following.setdefault((*member, name), []).append((*place, "properties", name))
        return following

    def _properties(self, place: Path) -> Iterable[str]:
        schema = self._references.schemas[place]
        properties = schema.get("properties") if is_object(schema) else None
        return properties if is_object(properties) else ()

    def _note(self, member: Path, places: list[Path]) -> None:
        for place in self._applied(places):
            schema = self._references.schemas[place]
            if is_object(schema) and "default" in schema:
                text = json_pointer(member)
                self._bytes += len(text) + len(dumps(schema["default"]))
                if self._bytes > _MAX_BYTES:
                    message = f"must not have defaults of more than {_MAX_BYTES} bytes in all"
                    raise InvalidError([FieldError("/schema", message)])
                self._found[text] = schema["default"]
                return

    def _applied(self, places: list[Path]) -> list[Path]:
        """Return the schemas that apply where those at ``places`` do, nearest first."""
        applied = dict.fromkeys(places)
        waiting = list(applied)
        for place in waiting:  # grows while it is walked
            for target in self._onward(place):
                self._steps += 1
                if self._steps > _MAX_STEPS:
                    return waiting
                if target not in applied:
                    applied[target] = None
                    waiting.append(target)
        return waiting

    def _onward(self, place: Path) -> Iterator[Path]:
        schema = self._references.schemas[place]
        if not is_object(schema):
            return
        for keyword in REFERENCES:
            target = self._references.targets.get((*place, keyword))
            if target is not None:
                yield target
        required = schema.get("allOf")
        if is_array(required):
            yield from ((*place, "allOf", index) for index in range(len(required)))
