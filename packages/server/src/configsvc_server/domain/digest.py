"""A fingerprint of a document that depends on its content alone."""

import hashlib
from collections.abc import Mapping, Sequence

import rfc8785

from configsvc_server.domain.jsontext import JsonObject, JsonValue

__all__ = ["canonical", "document_digest"]

# RFC 8785 writes every number as a double. Integers beyond this are kept exactly by us, so
# they are written with all their digits: two documents that differ have different digests.
_MAX_SAFE_INTEGER = 2**53 - 1


def canonical(value: JsonValue) -> bytes:
    """Return ``value`` as canonical JSON (RFC 8785), larger integers in full."""
    if isinstance(value, int) and not -_MAX_SAFE_INTEGER <= value <= _MAX_SAFE_INTEGER:
        return str(value).encode()
    if isinstance(value, Mapping):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return b"{%b}" % b",".join(rfc8785.dumps(k) + b":" + canonical(v) for k, v in members)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return b"[%b]" % b",".join(map(canonical, value))
    return rfc8785.dumps(value)


def document_digest(*, name: str, comments: str | None, config: JsonObject) -> str:
    """Return the SHA-256 of a configuration's document, as 64 hexadecimal digits."""
    document: JsonObject = {"name": name, "comments": comments, "config": config}
    return hashlib.sha256(canonical(document)).hexdigest()
