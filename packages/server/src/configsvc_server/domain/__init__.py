"""What configsvc is about: dataclasses and pure functions that import nothing else of ours."""
