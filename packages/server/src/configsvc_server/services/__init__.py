"""Use cases: one method, one transaction; every write keeps its history with it."""
