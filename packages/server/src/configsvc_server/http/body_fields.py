"""Members of a validated body, with the types that the schema has promised."""

from typing import cast

from configsvc_server.domain.errors import FieldError, InvalidError
from configsvc_server.domain.identifiers import normalize_ulid
from configsvc_server.domain.merge import merge_patch
from configsvc_server.domain.strict_json import JsonObject

__all__ = [
    "flag_member",
    "integer_member",
    "object_member",
    "optional_text_member",
    "patched",
    "require_same",
    "text_member",
    "ulid_member",
]


def text_member(body: JsonObject, name: str) -> str:
    """Return a member that is a string by the schema."""
    return cast("str", body[name])


def optional_text_member(body: JsonObject, name: str) -> str | None:
    """Return a member that is a string, null or missing by the schema."""
    return cast("str | None", body.get(name))


def object_member(body: JsonObject, name: str) -> JsonObject:
    """Return a member that is an object by the schema."""
    return cast("JsonObject", body[name])


def ulid_member(body: JsonObject, name: str) -> str | None:
    """Return a member that is a ULID by the schema, or ``None`` where it is missing."""
    given = optional_text_member(body, name)
    return None if given is None else normalize_ulid(given)


def integer_member(body: JsonObject, name: str) -> int | None:
    """Return a member that is an integer, null or missing by the schema.

    JSON Schema takes 2.0 for an integer, so this does too.
    """
    value = cast("int | float | None", body.get(name))
    return None if value is None else int(value)


def flag_member(body: JsonObject, name: str) -> bool | None:
    """Return a member that is true, false or missing by the schema."""
    return cast("bool | None", body.get(name))


def require_same(body: JsonObject, name: str, value: str) -> None:
    """Check that an id that can't change, if it was sent, is what it was.

    Raises:
        InvalidError: it is another one.
    """
    given = ulid_member(body, name)
    if given is not None and given != value:
        raise InvalidError([FieldError(f"/{name}", f"must be {value!r}: it can't change")])


def patched(base: JsonObject, patch: JsonObject) -> JsonObject:
    """Apply a JSON Merge Patch to the members in ``base``, ignoring read-only ones."""
    editable = {name: value for name, value in patch.items() if name in base}
    return cast("JsonObject", merge_patch(base, editable))
