"""Server of configsvc: versioned JSON configurations in PostgreSQL behind a REST API."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("configsvc-server")
