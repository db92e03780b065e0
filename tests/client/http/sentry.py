"""Sentry's SDK, imported as where there is no eventlet.

It imports eventlet wherever that is installed, which warns at every fork from then on.
"""

import sys

sys.modules["eventlet"] = None  # type: ignore[assignment]
try:
    import sentry_sdk
    from sentry_sdk.transport import Transport
finally:
    del sys.modules["eventlet"]

__all__ = ["Transport", "sentry_sdk"]
