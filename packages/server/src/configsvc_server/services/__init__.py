"""Use cases: each write commits together with its history."""
