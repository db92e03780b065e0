"""Client SDK of configsvc: a fresh, local, failure-proof copy of your configuration."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("configsvc-client")
