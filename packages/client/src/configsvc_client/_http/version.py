"""Version of this package, as its distribution says."""

__all__ = ["own_version"]


def own_version() -> str:
    """Return the version; ``unknown`` where there is no metadata of it."""
    # Not at import, which is to be quick.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("configsvc-client")
    except PackageNotFoundError:
        # Copied into an application without its metadata.
        return "unknown"
