"""JSON values: read-only containers, paths, differences."""
