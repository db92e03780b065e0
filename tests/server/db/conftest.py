"""Fixtures of the tests of the database: they change more of it than rows."""

import pytest


@pytest.fixture
def database_url(new_database_url: str) -> str:
    """A database of the test's own."""
    return new_database_url
