"""OpenAPI 3.1 document: every path, and the schemas that validate the requests."""

from typing import get_args

from configsvc_server import __version__
from configsvc_server.domain.fleet import InstanceState
from configsvc_server.domain.models import Action, Entity
from configsvc_server.http.openapi.access_paths import access_paths
from configsvc_server.http.openapi.history_paths import history_paths
from configsvc_server.http.openapi.nodes import PROBLEMS, Node, problem, query
from configsvc_server.http.openapi.permissions import describe_permissions
from configsvc_server.http.openapi.resource_paths import resource_paths
from configsvc_server.http.openapi.sign_in_paths import sign_in_paths
from configsvc_server.http.pagination import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET, NAMED_LIST
from configsvc_server.http.schemas import load_schemas

__all__ = ["build_openapi"]

_DESCRIPTION = """\
Versioned JSON configurations, grouped by application.

- **Errors** are problem details (RFC 9457) that name each wrong field by JSON Pointer.
- **Concurrency**: send the ETag of what you read as `If-Match`, and a write is refused with \
412 if somebody else was faster.
- **Revisions**: every write makes a numbered, immutable one; environments point at them.
- **Snapshots** are one conditional GET; `Prefer: wait=30` makes it wait for a change, and \
`A-IM: configsvc-delta` sends only what has changed.
- **Lists** can be paged by `offset`, or by the cursor in `next`, sent as `after`.
- **PATCH** is JSON Merge Patch (RFC 7396).
- A trailing slash is accepted everywhere.
- **Any request** can be answered 400, 408, 413 or 431 where it is malformed, late or too large, \
421 where its `Host` is not allowed, and 503 with `Retry-After` where the server is busy.
"""


def build_openapi() -> Node:
    """Return the OpenAPI document of the API."""
    paths = {**resource_paths(), **history_paths(), **access_paths(), **sign_in_paths()}
    describe_permissions(paths)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "configsvc",
            "version": __version__,
            "summary": "Configuration as a service.",
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "applications", "description": "Groups of configurations."},
            {"name": "configurations", "description": "Named, versioned JSON objects."},
            {"name": "history", "description": "What configurations were, and the way back."},
            {"name": "environments", "description": "Where which version is served."},
            {"name": "releases", "description": "What environments serve."},
            {"name": "snapshots", "description": "What clients read, and wait for."},
            {"name": "fleet", "description": "Who serves what, and whether a release has arrived."},
            {"name": "changes", "description": "The audit trail, which is the change feed too."},
            {"name": "access", "description": "Who may do what."},
            {
                "name": "sign-in",
                "description": "Pages for browsers, where the server requires authentication; "
                "otherwise they are not there (404).",
            },
            {"name": "operations", "description": "For those who run the server."},
        ],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": load_schemas(),
            "parameters": _parameters(),
            "headers": _headers(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token, or a JWT of an issuer that the server knows.",
                }
            },
            "responses": {str(status): problem(text) for status, text in PROBLEMS.items()},
        },
    }


def _parameters() -> Node:
    orders = [f"{sign}{field}" for field in NAMED_LIST.fields for sign in ("", "-")]
    text = {"type": "string", "minLength": 1, "maxLength": 256}
    ulid = {"$ref": "#/components/schemas/Ulid"}
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    version = {"$ref": "#/components/schemas/Version"}
    offset = {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0}
    return {
        "Application": query("application", "Id or name.", text, where="path"),
        "Environment": query("environment", "Name, such as default.", text, where="path"),
        "Prefer": query(
            "Prefer",
            "`wait=N`: respond as soon as there is a change, or after N seconds (60 at most; RFC "
            "7240). For a snapshot, send `If-None-Match` too.",
            {"type": "string", "examples": ["wait=30"]},
            where="header",
        ),
        "Id": query("id", "Id.", ulid, where="path"),
        "Limit": query(
            "limit", "How many items at most; a page of large ones has fewer (4 MiB).", limit
        ),
        "Offset": query("offset", "How many items to skip; `after` reads further.", offset),
        "After": query("after", "The `next` of the page before.", {"type": "string"}),
        "Sort": query("sort", "The order; `-` for descending.", {"enum": orders}),
        "Name": query("name", "Only those with this name.", text),
        "Text": query("q", "Only those with this in their name or comments.", text),
        "ApplicationId": query("application_id", "Only those of this application.", ulid),
        "Version": query("version", "Which version.", version, where="path"),
        "VersionSort": query("sort", "The order; `-` for descending.", _order("version")),
        "IdSort": query("sort", "The order of commits; `-` for the newest first.", _order("id")),
        "At": query(
            "at",
            "A past time: answer as it was then.",
            {"type": "string", "format": "date-time", "examples": ["2026-11-24T08:30:00Z"]},
        ),
        "From": query("from", "A version; by default the one before the other.", version),
        "To": query("to", "A version; by default the newest.", version),
        "FromEnvironment": query("from_environment", "What this environment serves.", text),
        "ToEnvironment": query("to_environment", "What this environment serves.", text),
        "For": query("environment", "Compare what it would be in this environment.", text),
        "InEnvironment": query("environment", "Only those in this environment.", text),
        "Current": query("current", "Only what is served now.", {"enum": ["true", "false"]}),
        "ConfigurationId": query("configuration_id", "Only those of this configuration.", ulid),
        "Actor": query("actor", "Only those of this person or program.", text),
        "Action": query("action", "Only those that did this.", {"enum": list(get_args(Action))}),
        "Entity": query("entity", "Only those done to this.", {"enum": list(get_args(Entity))}),
        "TokenSort": query(
            "sort", "The order; `-` for descending.", {"enum": ["id", "-id", "name", "-name"]}
        ),
        "SessionSort": query("sort", "The order; `-` for descending.", {"enum": ["id", "-id"]}),
        "GrantSort": query(
            "sort",
            "The order; `-` for descending.",
            {"enum": ["id", "-id", "principal", "-principal"]},
        ),
        "Principal": query("principal", "Only those to this principal or group.", text),
        "IfMatch": query("If-Match", "The ETag that was read.", _ETAGS, where="header"),
        "IfNoneMatch": query(
            "If-None-Match", "The ETag of the content that the client has.", _ETAGS, where="header"
        ),
        "IfNoneMatchOfWrite": query(
            "If-None-Match",
            "Refuse the write with 412 if the resource has one of these ETags; `*`: if it exists.",
            _ETAGS,
            where="header",
        ),
        "AIm": query(
            "A-IM",
            "`configsvc-delta`: with `If-None-Match`, answer with what has changed since, if the "
            "server remembers it (RFC 3229).",
            {"type": "string", "examples": ["configsvc-delta"]},
            where="header",
        ),
        "AcceptEncoding": query(
            "Accept-Encoding",
            "`gzip`: compress what is larger than 1 KiB.",
            {"type": "string", "examples": ["gzip"]},
            where="header",
        ),
        "Instance": query("instance", "Id of the instance.", text, where="path"),
        "InstanceState": query(
            "state", "Only those in this state.", {"enum": list(get_args(InstanceState))}
        ),
        "InstanceService": query("service", "Only those of this service.", text),
        "SnapshotVersion": query(
            "version",
            "ETag of a snapshot, without quotes; by default of what is served now.",
            {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        ),
        "InstanceHeader": query(
            "Configsvc-Instance",
            "Which process polls: a dictionary of structured fields (RFC 8941) with `id`, and if "
            "wanted `service`, `version`, `sdk`, `host`, `interval`, `processes` and `rejects`.",
            {"type": "string", "maxLength": 1024, "examples": ['id="web-3.41", service="shop"']},
            where="header",
        ),
        "ChangeMessage": query(
            "X-Change-Message",
            "Why: kept with the change.",
            {"type": "string", "maxLength": 1024},
            where="header",
        ),
    }


def _order(field: str) -> Node:
    return {"enum": [field, f"-{field}"], "default": field}


_ETAGS = {"type": "string", "examples": ['"3"', "*"]}


def _headers() -> Node:
    return {
        "ETag": {
            "description": "A strong entity tag of this content.",
            "schema": {"type": "string", "examples": ['"3"']},
        },
        "Location": {
            "description": "The path of the new resource.",
            "schema": {"type": "string", "format": "uri-reference"},
        },
        "Link": {
            "description": 'With rel="next": the next page (RFC 8288), if there is one.',
            "schema": {"type": "string"},
        },
        "PreferenceApplied": {
            "description": "The wait that was granted; missing where none was.",
            "schema": {"type": "string", "examples": ["wait=30"]},
        },
        "IM": {
            "description": "The format of the delta.",
            "schema": {"const": "configsvc-delta"},
        },
        "DeltaBase": {
            "description": "The entity tag of the snapshot that the delta is for.",
            "schema": {"type": "string", "examples": ['"0f3a"']},
        },
        "ContentEncoding": {
            "description": "Missing where the body is not compressed; where it is, the ETag of a "
            "snapshot ends in `-gzip`.",
            "schema": {"const": "gzip"},
        },
        "RetryAfter": {
            "description": "Seconds to wait before trying again.",
            "schema": {"type": "integer", "minimum": 0},
        },
    }
