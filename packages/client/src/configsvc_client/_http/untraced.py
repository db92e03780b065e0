"""Untraced transport: requests of the background, which an application's tracing does not see.

A long poll lasts for half a minute and comes again for ever: as spans and breadcrumbs, polls
would bury what an application does. Nothing is imported for this; a tracer that is not loaded
traces nothing.
"""

import sys
from contextlib import ExitStack

from configsvc_client._http.types import Request, Response, Transport

__all__ = ["Untraced"]


class Untraced:
    """Transport whose requests OpenTelemetry and Sentry leave out."""

    def __init__(self, transport: Transport) -> None:
        """Create a transport.

        Args:
            transport: sends the requests.
        """
        self._transport = transport

    def send(self, request: Request) -> Response:
        """Send a request and return the response, whatever its status.

        Raises:
            ConfigSvcError: as the transport within does.
        """
        # At each request, since an application may set up its tracing after the first.
        with ExitStack() as stack:
            _leave_out_of_opentelemetry(stack)
            _leave_out_of_sentry(stack)
            return self._transport.send(request)

    def close(self) -> None:
        """Close every connection, also one on which another thread waits."""
        self._transport.close()

    def has_other_token(self) -> bool:
        """Return whether the next request has another token than the one that was refused."""
        return self._transport.has_other_token()

    def after_fork_in_child(self) -> None:
        """Drop the parent's connections and locks."""
        self._transport.after_fork_in_child()


def _leave_out_of_opentelemetry(stack: ExitStack) -> None:
    # Each instrumentation imports this module, and asks it before it makes a span.
    utils = sys.modules.get("opentelemetry.instrumentation.utils")
    suppress = getattr(utils, "suppress_instrumentation", None)
    if suppress is not None:
        stack.enter_context(suppress())


def _leave_out_of_sentry(stack: ExitStack) -> None:
    sentry = sys.modules.get("sentry_sdk")
    # Version 1 had hubs instead.
    fork = getattr(sentry, "isolation_scope", None)
    current = getattr(sentry, "get_current_scope", None)
    if fork is None or current is None:
        return
    # Breadcrumbs go to scopes that end with the request. A thread that was started amid a
    # transaction inherits that, and would add spans to it for ever.
    isolation = stack.enter_context(fork())
    isolation.span = current().span = None
