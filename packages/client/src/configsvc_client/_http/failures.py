"""Failures of HTTP requests: why no response came, in a few words, and what to do about it."""

import ssl
from http.client import HTTPException
from typing import Final

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from configsvc_client._http.bodies import BodyCutError
from configsvc_client._http.connections import HeadersCutError
from configsvc_client._http.credentials import redacted

__all__ = ["FAILURES", "Failure"]

FAILURES: Final = (requests.RequestException, HTTPError, HTTPException, OSError, BodyCutError)
"""What a request may raise where no response comes."""

_MAX_DEPTH: Final = 16


class Failure:
    """Failure of one attempt: no response, or half of one."""

    def __init__(self, error: BaseException, *, has_connected: bool | None, is_over: bool) -> None:
        """Keep what is of interest, and nothing of what was sent.

        Args:
            error: one of :data:`FAILURES`.
            has_connected: whether the request may have reached the server; ``None`` where that
                is not known.
            is_over: whether the time of the whole request was over.
        """
        chain = _chain(error)
        self.reason = "the time for the whole request is over" if is_over else _reason(chain)
        self.cause = _bare(chain[-1])
        self.may_have_arrived = has_connected is not False
        self.is_final = is_over or any(
            isinstance(cause, ssl.SSLCertVerificationError) for cause in chain
        )

    def describe(self, urls: "list[str]") -> str:
        """Return the reason without credentials.

        Args:
            urls: URLs that may have some.
        """
        return redacted(self.reason, urls)


def _reason(chain: list[BaseException]) -> str:
    for cause in chain:
        # That no connection could be made is in urllib3 a kind of timeout.
        if isinstance(cause, ConnectTimeoutError) and not isinstance(cause, NewConnectionError):
            return "no connection within the timeout"
        if isinstance(cause, ReadTimeoutError):
            return "no answer within the timeout"
        if isinstance(cause, HeadersCutError):
            return "the headers of the answer were cut short"
    error, last = chain[0], chain[-1]
    if isinstance(last, BodyCutError) or not isinstance(error, requests.RequestException | OSError):
        return "the answer was cut short"
    if isinstance(error, requests.exceptions.SSLError):
        what = "the TLS connection failed"
    elif isinstance(error, requests.exceptions.ProxyError):
        what = "the proxy can't be reached"
    elif any(isinstance(cause, NameResolutionError) for cause in chain):
        what = "the name of the host can't be resolved"
    else:
        what = "the connection failed"
    return f"{what} ({last})"


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and those within it; requests and urllib3 wrap them in many layers."""
    chain = [error]
    while len(chain) < _MAX_DEPTH and (inner := _inner(chain[-1])) is not None:
        chain.append(inner)
    return chain


def _inner(error: BaseException) -> BaseException | None:
    for candidate in (getattr(error, "reason", None), error.__cause__, *error.args):
        if isinstance(candidate, BaseException) and candidate is not error:
            return candidate
    return None


def _bare(error: BaseException) -> OSError | None:
    """Return the innermost error alone.

    Those around it quote the request or hold it, with its token, and so do the frames in their
    tracebacks.
    """
    if not isinstance(error, OSError) or isinstance(error, requests.RequestException):
        return None
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)
