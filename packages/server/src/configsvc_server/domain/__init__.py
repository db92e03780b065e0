"""Domain: dataclasses and pure functions that import nothing else of ours."""
