"""The documents of ``docs``, run as they stand."""
