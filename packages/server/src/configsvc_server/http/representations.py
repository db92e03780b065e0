"""From entities to the JSON that the API shows."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from configsvc_server.domain.jsontext import JsonObject, dumps
from configsvc_server.domain.models import Application, ApplicationDetail, Configuration
from configsvc_server.domain.pages import Page, PageRequest

__all__ = [
    "application_body",
    "application_item",
    "configuration_item",
    "page_body",
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
