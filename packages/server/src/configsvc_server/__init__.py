"""Server of configsvc: versioned JSON configurations in PostgreSQL behind a REST API."""

__all__ = ["__version__"]

__version__: str


def __getattr__(name: str) -> str:
    # Looked up at its first use: what the import of this package takes is time in which a signal
    # ends the command with a traceback.
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415

    return version("configsvc-server")
