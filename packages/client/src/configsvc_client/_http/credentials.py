"""Credentials of requests: a bearer token, or name and password from the URL.

A token must not get into any message, log or traceback, where it would outlive its secrecy. So
it is checked before ``http.client`` can quote it, it is held in objects whose ``repr`` hides it,
and what a token function raises is told by type and place alone.
"""

import base64
import re
from typing import TYPE_CHECKING, Final

from requests.auth import AuthBase

from configsvc_client._http.types import one_line
from configsvc_client.options import Options, Token, token_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from requests import PreparedRequest

__all__ = ["NO_CREDENTIALS", "Credentials", "credentials_of", "redacted"]

_USER_INFO: Final = re.compile(r"//[^/@\s'\"]*@")


class Credentials(AuthBase):
    """Value of ``Authorization``, as an auth object that shows nothing of it."""

    __slots__ = ("_header",)

    def __init__(self, header: str | None) -> None:
        self._header = header

    def __call__(self, request: "PreparedRequest") -> "PreparedRequest":
        if self._header is not None:
            request.headers["Authorization"] = self._header
        return request

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credentials) and self._header == other._header

    def __hash__(self) -> int:
        return hash(self._header)

    def __repr__(self) -> str:
        return "<Credentials>"


NO_CREDENTIALS: Final = Credentials(None)
"""Credentials for everybody but the server."""


def credentials_of(options: Options) -> Credentials | str:
    """Return the credentials of the next request; a token goes before those in the URL.

    Returns:
        The credentials, or why the token function gave none. That is not raised here, as this
        frame has the token, and not with its cause, which may quote it.
    """
    if options.token is not None:
        return _bearer(options.token)
    if options.credentials is not None:
        pair = ":".join(options.credentials).encode()
        return Credentials(f"Basic {base64.b64encode(pair).decode('ascii')}")
    return NO_CREDENTIALS


def redacted(text: str, urls: "Iterable[str]" = ()) -> str:
    """Return a text without the credentials of URLs in it, on one line.

    Args:
        text: the text.
        urls: URLs whose credentials are left out wherever they stand, also if the URL is so
            malformed that nobody could tell where they end.
    """
    for url in urls:
        user_info = url.partition("://")[2].rpartition("@")[0]
        if user_info:
            text = text.replace(f"{user_info}@", "***@")
    return one_line(_USER_INFO.sub("//***@", text))


def _bearer(token: Token) -> Credentials | str:
    """Return the credentials, or what is wrong with the token."""
    value: object = token
    if callable(token):
        try:
            value = token()
        except Exception as error:  # noqa: BLE001 - whatever it is, the request has no token
            return f"the token function raised {type(error).__name__}{_place(error)}"
    problem = token_problem(value)
    if problem is None:
        return Credentials(f"Bearer {value}")
    return f"what the token function returned {problem}"


def _place(error: BaseException) -> str:
    """Return the line that raised, which unlike the message has no secret in it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
