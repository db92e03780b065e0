"""From entities to the JSON that the API shows."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from configsvc_server.domain.models import (
    Application,
    ApplicationDetail,
    Change,
    Configuration,
    Environment,
    Release,
    Revision,
)
from configsvc_server.domain.pages import NumberedPage, NumberedRequest, Page, PageRequest
from configsvc_server.domain.strict_json import JsonObject, dumps

__all__ = [
    "application_body",
    "application_item",
    "change_item",
    "configuration_item",
    "environment_item",
    "numbered_body",
    "page_body",
    "release_item",
    "revision_item",
    "timestamp",
]

T = TypeVar("T")


def timestamp(moment: datetime) -> str:
    """Write a moment in UTC as RFC 3339 has it, with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def application_item(application: Application) -> JsonObject:
    """Show an application as an item of a list."""
    return {
        "id": application.id,
        "name": application.name,
        "comments": application.comments,
        "created_at": timestamp(application.created_at),
        "updated_at": timestamp(application.updated_at),
    }


def application_body(detail: ApplicationDetail) -> bytes:
    """Show one application with the ids of its configurations."""
    return dumps(
        {**application_item(detail.application), "configuration_ids": detail.configuration_ids}
    )


def configuration_item(configuration: Configuration) -> JsonObject:
    """Show a configuration."""
    return {
        "id": configuration.id,
        "application_id": configuration.application_id,
        "name": configuration.name,
        "comments": configuration.comments,
        "config": configuration.config,
        "overlays": configuration.overlays,
        "schema": configuration.schema,
        "version": configuration.version,
        "created_at": timestamp(configuration.created_at),
        "updated_at": timestamp(configuration.updated_at),
        "updated_by": configuration.updated_by,
    }


def page_body(page: Page[T], request: PageRequest, show: Callable[[T], JsonObject]) -> bytes:
    """Show one page of a list."""
    return dumps(
        {
            "items": [show(item) for item in page.items],
            "total": page.total,
            "limit": request.limit,
            "offset": request.offset,
            "has_more": page.next is not None,
            "next": page.next.encode() if page.next else None,
        }
    )


def numbered_body(
    page: NumberedPage[T], request: NumberedRequest, show: Callable[[T], JsonObject]
) -> bytes:
    """Show one page of a list in the order of a number."""
    return dumps(
        {
            "items": [show(item) for item in page.items],
            "total": page.total,
            "limit": request.limit,
            "offset": request.offset,
            "has_more": page.has_more,
            "next": str(page.last) if page.has_more else None,
        }
    )


def revision_item(revision: Revision) -> JsonObject:
    """Show a revision."""
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
        "created_at": timestamp(revision.created_at),
    }


def environment_item(environment: Environment) -> JsonObject:
    """Show an environment."""
    return {
        "application_id": environment.application_id,
        "name": environment.name,
        "position": environment.position,
        "auto_release": environment.auto_release,
        "protected": environment.protected,
        "created_at": timestamp(environment.created_at),
        "updated_at": timestamp(environment.updated_at),
    }


def release_item(release: Release) -> JsonObject:
    """Show a release."""
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
        "created_at": timestamp(release.created_at),
    }


def change_item(change: Change) -> JsonObject:
    """Show a change."""
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
        "created_at": timestamp(change.created_at),
    }
