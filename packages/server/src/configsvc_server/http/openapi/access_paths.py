"""OpenAPI paths of tokens, grants and the caller."""

from configsvc_server.http import PREFIX
from configsvc_server.http.openapi.nodes import (
    WRITE,
    Node,
    answer,
    operation,
    page,
    parameter,
)

__all__ = ["access_paths"]

_PAGING = ("Limit", "Offset", "After")


def access_paths() -> Node:
    """Return the paths of this module."""
    return {
        f"{PREFIX}/tokens": _tokens(),
        f"{PREFIX}/tokens/{{id}}": _token(),
        f"{PREFIX}/tokens/{{id}}/rotate": _rotate(),
        f"{PREFIX}/grants": _grants(),
        f"{PREFIX}/grants/{{id}}": _grant(),
        f"{PREFIX}/sessions": {
            "get": operation(
                "listSessions",
                "access",
                "List who is signed in: oneself, or for administrators all",
                parameters=[*_PAGING, "SessionSort"],
                responses={200: page("SessionPage")},
                problems=(422, 503),
            )
        },
        f"{PREFIX}/sessions/{{id}}": {
            "parameters": [parameter("Id")],
            "delete": operation(
                "deleteSession",
                "access",
                "End a session",
                parameters=["ChangeMessage"],
                responses={204: {"description": "It has ended."}},
                problems=(404, 422, 503),
            ),
        },
        f"{PREFIX}/me": {
            "get": operation(
                "getMe",
                "access",
                "Tell who the caller is, and what it may do",
                responses={200: answer("Me", "The caller.")},
                problems=(503,),
            )
        },
    }


def _tokens() -> Node:
    return {
        "get": operation(
            "listTokens",
            "access",
            "List the tokens that the caller administers, and its own",
            parameters=[*_PAGING, "TokenSort"],
            responses={200: page("TokenPage")},
            problems=(422, 503),
        ),
        "post": operation(
            "createToken",
            "access",
            "Create a token, and show its secret once",
            parameters=["ChangeMessage"],
            body="TokenCreate",
            responses={201: answer("CreatedToken", "Created.")},
            problems=(*WRITE, 409),
        ),
    }


def _token() -> Node:
    return {
        "parameters": [parameter("Id")],
        "get": operation(
            "getToken",
            "access",
            "Get a token, without its secret",
            responses={200: answer("Token", "As it is now.")},
            problems=(404, 503),
        ),
        "delete": operation(
            "deleteToken",
            "access",
            "Revoke a token on every server at once",
            parameters=["ChangeMessage"],
            responses={204: {"description": "It is gone."}},
            problems=(404, 422, 503),
        ),
    }


def _rotate() -> Node:
    node = operation(
        "rotateToken",
        "access",
        "Give a token a new secret; the one before works on for a while",
        parameters=["ChangeMessage"],
        body="TokenRotate",
        responses={200: answer("CreatedToken", "Rotated.")},
        problems=(*WRITE, 404),
    )
    node["requestBody"]["required"] = False
    return {"parameters": [parameter("Id")], "post": node}


def _grants() -> Node:
    return {
        "get": operation(
            "listGrants",
            "access",
            "List the grants that the caller administers",
            parameters=[*_PAGING, "GrantSort", "Principal", "ApplicationId"],
            responses={200: page("GrantPage")},
            problems=(422, 503),
        ),
        "post": operation(
            "createGrant",
            "access",
            "Give a role to a principal or group",
            parameters=["ChangeMessage"],
            body="GrantCreate",
            responses={201: answer("Grant", "Created.")},
            problems=(*WRITE, 409),
        ),
    }


def _grant() -> Node:
    return {
        "parameters": [parameter("Id")],
        "delete": operation(
            "deleteGrant",
            "access",
            "Withdraw a grant",
            parameters=["ChangeMessage"],
            responses={204: {"description": "It is gone."}},
            problems=(404, 422, 503),
        ),
    }
