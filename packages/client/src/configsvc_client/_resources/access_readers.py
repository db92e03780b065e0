"""Readers of the models of access from JSON; as those in :mod:`readers`, they raise on nonsense."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from configsvc_client._resources.access_models import (
    CreatedToken,
    Grant,
    Me,
    OwnToken,
    StoredGrant,
    Token,
)
from configsvc_client._resources.parsing import text, timestamp
from configsvc_client._values.secrets import Secret

__all__ = ["read_created_token", "read_me", "read_stored_grant", "read_token"]


def read_token(document: Mapping[str, Any]) -> Token:
    """Return the token that ``document`` describes."""
    return Token(**_members(document))


def read_created_token(document: Mapping[str, Any]) -> CreatedToken:
    """Return the token that ``document`` describes, and has."""
    if not isinstance(document["token"], str):
        # Without a word of it, whatever it is.
        raise TypeError("the token is not a string")
    return CreatedToken(**_members(document), token=Secret(document["token"]))


def read_stored_grant(document: Mapping[str, Any]) -> StoredGrant:
    """Return the grant to somebody that ``document`` describes."""
    return StoredGrant(
        id=text(document["id"]),
        principal=text(document["principal"]),
        grant=_grant(document),
        created_at=timestamp(document["created_at"]),
        created_by=text(document["created_by"]),
    )


def read_me(document: Mapping[str, Any]) -> Me:
    """Return the principal that ``document`` describes."""
    token = document["token"]
    return Me(
        kind=text(document["kind"]),
        name=text(document["name"]),
        groups=tuple(text(name) for name in document["groups"]),
        grants=tuple(_grant(item) for item in document["grants"]),
        token=None
        if token is None
        else OwnToken(text(token["id"]), text(token["name"]), _time(token["expires_at"])),
        auth=text(document["auth"]),
    )


def _members(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": text(document["id"]),
        "name": text(document["name"]),
        "hint": text(document["hint"]),
        "grants": tuple(_grant(item) for item in document["grants"]),
        "created_at": timestamp(document["created_at"]),
        "created_by": text(document["created_by"]),
        "expires_at": _time(document["expires_at"]),
        "rotated_at": _time(document["rotated_at"]),
        "previous_expires_at": _time(document["previous_expires_at"]),
        "last_used_at": _time(document["last_used_at"]),
        "last_used_address": document["last_used_address"],
        "last_used_client": document["last_used_client"],
    }


def _grant(document: Mapping[str, Any]) -> Grant:
    return Grant(
        role=text(document["role"]),
        application=document["application"],
        environment=document["environment"],
        application_id=document["application_id"],
    )


def _time(value: object) -> datetime | None:
    return None if value is None else timestamp(value)
