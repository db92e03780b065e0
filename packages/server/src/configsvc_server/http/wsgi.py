"""The type of the application."""

from typing import TypeAlias

import falcon

__all__ = ["WsgiApp"]

WsgiApp: TypeAlias = falcon.App[falcon.Request, falcon.Response]
"""A Falcon application with Falcon's own requests and responses."""
