"""JSON Schema defaults: the default values that a schema declares for the members of a value."""

from collections.abc import Iterable, Iterator

from configsvc_server.domain.errors import FieldError, InvalidError
from configsvc_server.domain.schema.locations import SchemaLocation
from configsvc_server.domain.schema.references import (
    AppliedSchemas,
    References,
    resolve_references,
)
from configsvc_server.domain.schema.violations import Path
from configsvc_server.domain.strict_json import (
    MAX_DEPTH,
    JsonValue,
    dumps,
    is_array,
    is_object,
    json_pointer,
)

__all__ = ["schema_defaults"]

# A schema may be a bomb; those that are not stay far below all of these.
_MAX_DEFAULTS = 1_000
_MAX_MEMBERS = 5_000
_MAX_STEPS = 50_000
_MAX_BYTES = 256 * 1024


def schema_defaults(schema: JsonValue) -> dict[str, JsonValue]:
    """Return the default of each member by JSON Pointer, outer members first.

    Members of members are listed whether or not the outer one has a default of its own.
    Where several schemas of a member have a default, the one nearest to the member counts.
    Alternatives and conditions are left out: their defaults depend on the value.

    Args:
        schema: a schema without violations.

    Raises:
        InvalidError: the defaults are too large in all; with references, those of a small
            schema can be.
    """
    return _DefaultCollector(resolve_references(schema)).defaults()


class _DefaultCollector:
    def __init__(self, references: References) -> None:
        self._references = references
        self._defaults: dict[str, JsonValue] = {}
        self._members = 0
        self._applied = AppliedSchemas(self._applied_by, max_steps=_MAX_STEPS)
        self._bytes = 0

    def defaults(self) -> dict[str, JsonValue]:
        """Return the defaults by JSON Pointer, parents before members."""
        level: dict[Path, list[SchemaLocation]] = {(): [()]}
        for _ in range(MAX_DEPTH):
            level = self._inner_members(level)
            for member, locations in level.items():
                if len(self._defaults) == _MAX_DEFAULTS:
                    return self._defaults
                self._add_default(member, locations)
        return self._defaults

    def _inner_members(
        self, level: dict[Path, list[SchemaLocation]]
    ) -> dict[Path, list[SchemaLocation]]:
        """Return the members of the members in ``level``, each with its schemas."""
        following: dict[Path, list[SchemaLocation]] = {}
        for member, locations in level.items():
            for location in self._applied.of(locations):
                for name in self._properties(location):
                    if self._members == _MAX_MEMBERS:
                        return following
                    self._members += 1
                    inner = (*location, "properties", name)
                    following.setdefault((*member, name), []).append(inner)
        return following

    def _properties(self, location: SchemaLocation) -> Iterable[str]:
        schema = self._references.schemas[location]
        properties = schema.get("properties") if is_object(schema) else None
        return properties if is_object(properties) else ()

    def _add_default(self, member: Path, locations: list[SchemaLocation]) -> None:
        for location in self._applied.of(locations):
            schema = self._references.schemas[location]
            if is_object(schema) and "default" in schema:
                pointer = json_pointer(member)
                self._bytes += len(pointer) + len(dumps(schema["default"]))
                if self._bytes > _MAX_BYTES:
                    message = f"must not have defaults of more than {_MAX_BYTES} bytes in all"
                    raise InvalidError([FieldError("/schema", message)])
                self._defaults[pointer] = schema["default"]
                return

    def _applied_by(self, location: SchemaLocation) -> Iterator[SchemaLocation]:
        """Yield the schemas that one schema applies by reference or by ``allOf``."""
        schema = self._references.schemas[location]
        if not is_object(schema):
            return
        yield from self._references.targets_of(location)
        required = schema.get("allOf")
        if is_array(required):
            yield from ((*location, "allOf", index) for index in range(len(required)))
