"""Support for the tests of both packages."""
