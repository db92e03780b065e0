"""OpenAPI paths of signing in and out with a browser: pages, forms, and the way to an issuer."""

from collections.abc import Mapping

from configsvc_server.http.openapi.nodes import Node, header, operation, problem, query
from configsvc_server.http.problems import PROBLEM_JSON

__all__ = ["sign_in_paths"]

_TEXT = {"type": "string"}
_RETURN_TO = query("return_to", "Path of this server to go to afterwards.", _TEXT)
_ISSUER = query("issuer", "Name of an issuer.", _TEXT, where="path")
_FORGED = problem("The form does not come from a page of this server.")
_FORM = "application/x-www-form-urlencoded"


def sign_in_paths() -> Node:
    """Return the paths of this module."""
    return {
        "/auth/sign-in": {
            "get": _operation(
                "showSignIn",
                "Show the page to sign in at",
                parameters=[_RETURN_TO],
                responses={200: _page("The page.")},
                problems=(404,),
            )
        },
        "/auth/token": {"post": _token()},
        "/auth/sign-out": {
            "post": _operation(
                "signOut",
                "End the session of the browser",
                responses={303: _redirect("To the page to sign in at."), 403: _FORGED},
                problems=(404, 503),
            )
        },
        "/auth/{issuer}/start": {
            "parameters": [_ISSUER],
            "get": _operation(
                "startSignIn",
                "Send the browser to an issuer",
                parameters=[_RETURN_TO],
                responses={
                    303: _redirect("To the issuer."),
                    503: _page("The issuer can't be reached."),
                },
                problems=(404,),
            ),
        },
        "/auth/{issuer}/callback": {"parameters": [_ISSUER], "get": _callback()},
    }


def _token() -> Node:
    node = _operation(
        "signInWithToken",
        "Begin a session with an API token",
        responses={
            303: _redirect("Signed in."),
            401: _page("The token is not valid."),
            403: _FORGED,
        },
        problems=(400, 404, 413, 415, 429, 503),
    )
    form = {
        "type": "object",
        "required": ["token"],
        "properties": {"token": _TEXT, "return_to": _TEXT},
    }
    node["requestBody"] = {"required": True, "content": {_FORM: {"schema": form}}}
    return node


def _callback() -> Node:
    outage = _page("The issuer or the database can't be reached.")
    outage["content"][PROBLEM_JSON] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return _operation(
        "finishSignIn",
        "Begin a session for whom an issuer vouches for",
        parameters=[
            query("code", "What the issuer gives a token for.", _TEXT),
            query("state", "As it was sent to the issuer.", _TEXT),
            query("iss", "The URL of the issuer (RFC 9207).", _TEXT),
        ],
        responses={
            303: _redirect("Signed in."),
            401: _page("The answer is not to an attempt of this browser, or is not accepted."),
            403: _page("The person has no role here."),
            503: outage,
        },
        problems=(404, 429),
    )


def _operation(
    operation_id: str,
    summary: str,
    *,
    responses: Mapping[int, Node],
    parameters: list[Node] | None = None,
    problems: tuple[int, ...] = (),
) -> Node:
    node = operation(operation_id, "sign-in", summary, responses=responses, problems=problems)
    if parameters:
        node["parameters"] = parameters
    return node


def _page(description: str) -> Node:
    return {"description": description, "content": {"text/html": {"schema": _TEXT}}}


def _redirect(description: str) -> Node:
    return {"description": description, "headers": {"Location": header("Location")}}
