"""Representations: the JSON of each entity, as the API shows it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from configsvc_server.domain.access.grants import StoredGrant
from configsvc_server.domain.access.tokens import ShownGrant, Token
from configsvc_server.domain.models import (
    Application,
    ApplicationDetail,
    Change,
    Configuration,
    Environment,
    Release,
    Revision,
)
from configsvc_server.domain.strict_json import JsonObject, dumps

__all__ = [
    "application_body",
    "application_item",
    "change_item",
    "configuration_item",
    "environment_body",
    "environment_item",
    "format_timestamp",
    "release_item",
    "revision_item",
    "stored_grant_item",
    "token_item",
]


def format_timestamp(timestamp: datetime) -> str:
    """Write a timestamp in UTC, in the form of RFC 3339 with microseconds."""
    return timestamp.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def application_item(application: Application) -> JsonObject:
    """Return an application as an item of a list, with what If-Match needs."""
    return {**_application(application), "etag": application.etag}


def application_body(detail: ApplicationDetail) -> bytes:
    """Return one application with the ids of its configurations."""
    return dumps(
        {**_application(detail.application), "configuration_ids": detail.configuration_ids}
    )


def _application(application: Application) -> JsonObject:
    return {
        "id": application.id,
        "name": application.name,
        "comments": application.comments,
        "created_at": format_timestamp(application.created_at),
        "updated_at": format_timestamp(application.updated_at),
    }


def configuration_item(configuration: Configuration) -> JsonObject:
    """Return a configuration."""
    return {
        "id": configuration.id,
        "application_id": configuration.application_id,
        "name": configuration.name,
        "comments": configuration.comments,
        "config": configuration.config,
        "overlays": configuration.overlays,
        "schema": configuration.schema,
        "version": configuration.version,
        "created_at": format_timestamp(configuration.created_at),
        "updated_at": format_timestamp(configuration.updated_at),
        "updated_by": configuration.updated_by,
    }


def revision_item(revision: Revision) -> JsonObject:
    """Return a revision."""
    return {
        "configuration_id": revision.configuration_id,
        "version": revision.version,
        "application_id": revision.application_id,
        "name": revision.name,
        "comments": revision.comments,
        "config": revision.config,
        "overlays": revision.overlays,
        "schema": revision.schema,
        "digest": revision.digest,
        "author": revision.author,
        "message": revision.message,
        "created_at": format_timestamp(revision.created_at),
    }


def environment_item(environment: Environment) -> JsonObject:
    """Return an environment as an item of a list, with what If-Match needs."""
    return {**_environment(environment), "etag": environment.etag}


def environment_body(environment: Environment) -> bytes:
    """Return one environment."""
    return dumps(_environment(environment))


def _environment(environment: Environment) -> JsonObject:
    return {
        "application_id": environment.application_id,
        "name": environment.name,
        "position": environment.position,
        "auto_release": environment.auto_release,
        "protected": environment.protected,
        "created_at": format_timestamp(environment.created_at),
        "updated_at": format_timestamp(environment.updated_at),
    }


def release_item(release: Release) -> JsonObject:
    """Return a release."""
    return {
        "id": release.id,
        "configuration_id": release.configuration_id,
        "application_id": release.application_id,
        "name": release.name,
        "environment": release.environment,
        "version": release.version,
        "previous_version": release.previous_version,
        "author": release.author,
        "message": release.message,
        "created_at": format_timestamp(release.created_at),
    }


def change_item(change: Change) -> JsonObject:
    """Return a change."""
    assert change.created_at is not None  # noqa: S101 - it comes from the database
    return {
        "id": change.id,
        "action": change.action,
        "entity": change.entity,
        "application_id": change.application_id,
        "configuration_id": change.configuration_id,
        "name": change.name,
        "previous_name": change.previous_name,
        "version": change.version,
        "previous_version": change.previous_version,
        "source_version": change.source_version,
        "environments": change.environments,
        "actor": change.provenance.actor,
        "request_id": change.provenance.request_id,
        "message": change.provenance.message,
        "details": change.details,
        "created_at": format_timestamp(change.created_at),
    }


def stored_grant_item(stored: StoredGrant, application: str | None) -> JsonObject:
    """Return a grant."""
    return {
        "id": stored.id,
        "principal": stored.principal,
        **ShownGrant(stored.grant, application).members,
        "created_at": format_timestamp(stored.created_at),
        "created_by": stored.created_by,
    }


def token_item(token: Token, grants: Sequence[ShownGrant]) -> JsonObject:
    """Return a token, without its secret."""
    return {
        "id": token.id,
        "name": token.name,
        "hint": token.hint,
        "grants": [item.members for item in grants],
        "created_at": format_timestamp(token.created_at),
        "created_by": token.created_by,
        "expires_at": _optional(token.expires_at),
        "rotated_at": _optional(token.rotated_at),
        "previous_expires_at": _optional(token.previous_expires_at),
        "last_used_at": _optional(token.last_used_at),
        "last_used_address": token.last_used_address,
        "last_used_client": token.last_used_client,
    }


def _optional(timestamp: datetime | None) -> str | None:
    return None if timestamp is None else format_timestamp(timestamp)
