"""Site with one page."""
