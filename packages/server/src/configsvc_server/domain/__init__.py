"""Domain: dataclasses and functions without I/O; they import nothing else of ours."""
