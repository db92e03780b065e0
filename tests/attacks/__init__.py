"""Attacks on a running server: what one caller or one outage may not do to all others."""
