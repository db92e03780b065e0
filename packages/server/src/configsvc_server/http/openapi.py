"""The OpenAPI 3.1 document: every path, and the schemas that validate the requests."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeAlias

from configsvc_server import __version__
from configsvc_server.domain.pages import DEFAULT_LIMIT, MAX_LIMIT, SORT_FIELDS
from configsvc_server.http.bodies import MERGE_PATCH
from configsvc_server.http.problems import PROBLEM_JSON
from configsvc_server.schemas import load_schemas

__all__ = ["build_openapi"]

Node: TypeAlias = dict[str, Any]
"""A part of the document."""

_DESCRIPTION = """\
Versioned JSON configurations, grouped by application.

- **Errors** are problem details (RFC 9457) that name each wrong field by JSON Pointer.
- **Concurrency**: send the ETag of what you read as `If-Match`, and a write is refused with \
412 if somebody else was faster.
- **Snapshots** are one conditional GET; `Prefer: wait=30` makes it wait for a change.
- **Lists** can be paged by `offset`, or by the cursor in `next`, sent as `after`.
- **PATCH** is JSON Merge Patch (RFC 7396).
- A trailing slash is accepted everywhere.
"""

_PROBLEMS = {
    400: "Malformed JSON, or a header that can't be understood.",
    404: "There is no such resource.",
    409: "The name or the id is taken.",
    412: "The resource is no longer what `If-Match` says; `current_etag` tells what it is.",
    413: "The body is larger than the server accepts.",
    415: "The body is not JSON in UTF-8.",
    422: "Well-formed, but invalid; `errors` names each field and what was expected.",
    503: "The database can't be reached or is busy; try again after `Retry-After` seconds.",
}

_WRITE = (400, 413, 415, 422, 503)


def build_openapi() -> Node:
    """Return the OpenAPI document of the API."""
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
            {"name": "snapshots", "description": "What clients read, and wait for."},
            {"name": "operations", "description": "For those who run the server."},
        ],
        "paths": {
            "/api/v1/applications": _applications(),
            "/api/v1/applications/{application}": _application(),
            "/api/v1/applications/{application}/configurations": _nested_configurations(),
            "/api/v1/configurations": _configurations(),
            "/api/v1/configurations/{id}": _configuration(),
            "/api/v1/applications/{application}/environments/{environment}/snapshot": _snapshot(),
            **_health(),
        },
        "components": {
            "schemas": load_schemas(),
            "parameters": _parameters(),
            "headers": _headers(),
            "responses": {str(status): _problem(text) for status, text in _PROBLEMS.items()},
        },
    }


def _applications() -> Node:
    return {
        "get": _operation(
            "listApplications",
            "applications",
            "List applications",
            parameters=[*_PAGING, "Name", "Text"],
            responses={200: _page("ApplicationPage")},
            problems=(422, 503),
        ),
        "post": _operation(
            "createApplication",
            "applications",
            "Create an application",
            parameters=["ChangeMessage"],
            body="ApplicationCreate",
            responses={201: _entity("Application", created=True)},
            problems=(*_WRITE, 409),
        ),
    }


def _application() -> Node:
    return _resource("Application", "applications", key="Application", an="an application")


def _configuration() -> Node:
    return _resource("Configuration", "configurations", key="Id", an="a configuration")


def _resource(entity: str, tag: str, *, key: str, an: str) -> Node:
    answer = {200: _entity(entity)}
    return {
        "parameters": [_parameter(key)],
        "get": _operation(
            f"get{entity}",
            tag,
            f"Get {an}",
            parameters=["IfNoneMatch"],
            responses={**answer, 304: _not_modified()},
            problems=(400, 404, 503),
        ),
        "put": _operation(
            f"replace{entity}",
            tag,
            f"Replace {an}",
            parameters=["IfMatch", "ChangeMessage"],
            body=f"{entity}Replace",
            responses=answer,
            problems=(*_WRITE, 404, 409, 412),
        ),
        "patch": _operation(
            f"update{entity}",
            tag,
            f"Change parts of {an}",
            parameters=["IfMatch", "ChangeMessage"],
            body=f"{entity}Patch",
            media_types=(MERGE_PATCH, "application/json"),
            responses=answer,
            problems=(*_WRITE, 404, 409, 412),
        ),
        "delete": _operation(
            f"delete{entity}",
            tag,
            f"Delete {an}",
            parameters=["IfMatch", "ChangeMessage"],
            responses={204: {"description": "It is gone."}},
            problems=(400, 404, 412, 422, 503),
        ),
    }


def _configurations() -> Node:
    return {
        "get": _operation(
            "listConfigurations",
            "configurations",
            "List configurations",
            parameters=[*_PAGING, "ApplicationId", "Name", "Text"],
            responses={200: _page("ConfigurationPage")},
            problems=(422, 503),
        ),
        "post": _operation(
            "createConfiguration",
            "configurations",
            "Create a configuration",
            parameters=["ChangeMessage"],
            body="ConfigurationCreate",
            responses={201: _entity("Configuration", created=True)},
            problems=(*_WRITE, 409),
        ),
    }


def _nested_configurations() -> Node:
    return {
        "parameters": [_parameter("Application")],
        "get": _operation(
            "listConfigurationsOfApplication",
            "configurations",
            "List the configurations of an application",
            parameters=[*_PAGING, "Name", "Text"],
            responses={200: _page("ConfigurationPage")},
            problems=(404, 422, 503),
        ),
        "post": _operation(
            "createConfigurationInApplication",
            "configurations",
            "Create a configuration in an application",
            parameters=["ChangeMessage"],
            body="ConfigurationCreateInApplication",
            responses={201: _entity("Configuration", created=True)},
            problems=(*_WRITE, 404, 409),
        ),
    }


def _snapshot() -> Node:
    answer = _entity("Snapshot")
    answer["headers"]["Preference-Applied"] = _header("PreferenceApplied")
    unchanged = _not_modified()
    unchanged["headers"]["Preference-Applied"] = _header("PreferenceApplied")
    return {
        "parameters": [_parameter("Application"), _parameter("Environment")],
        "get": _operation(
            "getSnapshot",
            "snapshots",
            "Get every configuration of an application at once",
            parameters=["IfNoneMatch", "Prefer"],
            responses={200: answer, 304: unchanged},
            problems=(400, 404, 503),
        ),
    }


def _health() -> Node:
    def check(name: str, summary: str, *, can_fail: bool) -> Node:
        answers = {200: _json("Health", "All is well.")}
        if can_fail:
            answers[503] = _json("Health", "Something is not; `checks` says what.")
        return {"get": _operation(name, "operations", summary, responses=answers)}

    return {
        "/health": check("getHealth", "Everything that is known of the health", can_fail=True),
        "/health/live": check("getLiveness", "Whether the process answers", can_fail=False),
        "/health/ready": check(
            "getReadiness", "Whether the database and its migrations are ready", can_fail=True
        ),
    }


_PAGING = ("Limit", "Offset", "After", "Sort")


def _parameters() -> Node:
    orders = [f"{sign}{field}" for field in SORT_FIELDS for sign in ("", "-")]
    text = {"type": "string", "minLength": 1, "maxLength": 256}
    ulid = {"$ref": "#/components/schemas/Ulid"}
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    offset = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "default": 0}
    return {
        "Application": _query("application", "Id or name.", text, where="path"),
        "Environment": _query("environment", "Name, such as default.", text, where="path"),
        "Prefer": _query(
            "Prefer",
            "`wait=N`: with If-None-Match, answer once the content is another one, after N "
            "seconds (60 at most) at the latest (RFC 7240).",
            {"type": "string", "examples": ["wait=30"]},
            where="header",
        ),
        "Id": _query("id", "Id.", ulid, where="path"),
        "Limit": _query("limit", "How many items at most.", limit),
        "Offset": _query("offset", "How many items to skip.", offset),
        "After": _query("after", "The `next` of the page before.", {"type": "string"}),
        "Sort": _query("sort", "The order; `-` for descending.", {"enum": orders}),
        "Name": _query("name", "Only those with this name.", text),
        "Text": _query("q", "Only those with this in their name or comments.", text),
        "ApplicationId": _query("application_id", "Only those of this application.", ulid),
        "IfMatch": _query("If-Match", "The ETag that was read.", _ETAGS, where="header"),
        "IfNoneMatch": _query("If-None-Match", "The ETag held.", _ETAGS, where="header"),
        "ChangeMessage": _query(
            "X-Change-Message",
            "Why: kept with the change.",
            {"type": "string", "maxLength": 1024},
            where="header",
        ),
    }


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
        "RetryAfter": {
            "description": "Seconds to wait before trying again.",
            "schema": {"type": "integer", "minimum": 0},
        },
    }


def _query(name: str, description: str, schema: Mapping[str, Any], *, where: str = "query") -> Node:
    node = {"name": name, "in": where, "description": description, "schema": schema}
    return {**node, "required": True} if where == "path" else node


def _operation(
    operation_id: str,
    tag: str,
    summary: str,
    *,
    responses: Mapping[int, Node],
    parameters: Sequence[str] = (),
    body: str | None = None,
    media_types: Iterable[str] = ("application/json",),
    problems: Iterable[int] = (),
) -> Node:
    node: Node = {"operationId": operation_id, "tags": [tag], "summary": summary}
    if parameters:
        node["parameters"] = [_parameter(name) for name in parameters]
    if body:
        schema = {"schema": {"$ref": f"#/components/schemas/{body}"}}
        node["requestBody"] = {
            "required": True,
            "content": dict.fromkeys(media_types, schema),
        }
    node["responses"] = {str(status): answer for status, answer in sorted(responses.items())} | {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(problems)
    }
    return node


def _parameter(name: str) -> Node:
    return {"$ref": f"#/components/parameters/{name}"}


def _header(name: str) -> Node:
    return {"$ref": f"#/components/headers/{name}"}


def _json(schema: str, description: str, media_type: str = "application/json") -> Node:
    content = {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _entity(schema: str, *, created: bool = False) -> Node:
    headers = {"ETag": _header("ETag")}
    if created:
        headers["Location"] = _header("Location")
    return {**_json(schema, "Created." if created else "As it is now."), "headers": headers}


def _page(schema: str) -> Node:
    return {**_json(schema, "One page."), "headers": {"Link": _header("Link")}}


def _not_modified() -> Node:
    return {
        "description": "The content is what `If-None-Match` says.",
        "headers": {"ETag": _header("ETag")},
    }


def _problem(description: str) -> Node:
    node = _json("Problem", description, PROBLEM_JSON)
    if description == _PROBLEMS[HTTPStatus.SERVICE_UNAVAILABLE]:
        node["headers"] = {"Retry-After": _header("RetryAfter")}
    return node
