"""OpenAPI nodes: operations, parameters, responses and problems of the document."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeAlias

from configsvc_server.http.problems import PROBLEM_JSON

__all__ = [
    "PAGING",
    "PROBLEMS",
    "WRITE",
    "Node",
    "answer",
    "entity",
    "header",
    "not_modified",
    "operation",
    "page",
    "parameter",
    "problem",
    "query",
]

Node: TypeAlias = dict[str, Any]
"""A part of the document."""

PROBLEMS = {
    400: "Malformed JSON, or a header that can't be understood.",
    401: "Nobody that the server knows has sent the request.",
    403: "The caller may read this, but not do this to it; `missing` is the role that it takes.",
    404: "There is no such resource.",
    409: "The name or the id is taken.",
    412: "`If-Match` does not match, since the resource has changed, or `If-None-Match` does; "
    "`current_etag` is its ETag now.",
    413: "The body is larger than the server accepts.",
    415: "The body is not JSON in UTF-8.",
    422: "Well-formed, but invalid; `errors` names each field and what was expected.",
    429: "The caller asks more often than it may; try again after `Retry-After` seconds.",
    503: "The server or its database is busy, or can't be reached; try again after `Retry-After` "
    "seconds.",
}

WRITE = (400, 413, 415, 422, 503)
"""Problems of any request that has a body."""

PAGING = ("Limit", "Offset", "After", "Sort")
"""The parameters of every list."""


def operation(
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
    """Describe one method of a path."""
    node: Node = {"operationId": operation_id, "tags": [tag], "summary": summary}
    if parameters:
        node["parameters"] = [parameter(name) for name in parameters]
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


def parameter(name: str) -> Node:
    """Refer to a parameter."""
    return {"$ref": f"#/components/parameters/{name}"}


def header(name: str) -> Node:
    """Refer to a header."""
    return {"$ref": f"#/components/headers/{name}"}


def answer(schema: str, description: str, media_type: str = "application/json") -> Node:
    """Describe an answer with a body."""
    content = {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def entity(schema: str, *, created: bool = False) -> Node:
    """Describe an answer that is one resource with its ETag."""
    headers = {"ETag": header("ETag")}
    if created:
        headers["Location"] = header("Location")
    return {**answer(schema, "Created." if created else "As it is now."), "headers": headers}


def page(schema: str) -> Node:
    """Describe an answer that is one page of a list."""
    return {**answer(schema, "One page."), "headers": {"Link": header("Link")}}


def not_modified() -> Node:
    """Describe a 304."""
    return {
        "description": "The content still matches `If-None-Match`.",
        "headers": {"ETag": header("ETag")},
    }


def problem(description: str) -> Node:
    """Describe an error."""
    node = answer("Problem", description, PROBLEM_JSON)
    if description in {PROBLEMS[429], PROBLEMS[HTTPStatus.SERVICE_UNAVAILABLE]}:
        node["headers"] = {"Retry-After": header("RetryAfter")}
    return node


def query(name: str, description: str, schema: Mapping[str, Any], *, where: str = "query") -> Node:
    """Describe a parameter."""
    node = {"name": name, "in": where, "description": description, "schema": schema}
    return {**node, "required": True} if where == "path" else node
