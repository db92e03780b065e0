"""Tests of the async face of the client."""
