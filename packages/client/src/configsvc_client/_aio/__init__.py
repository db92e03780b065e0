"""Async face: views, wrappers and subscriptions for event loops, over the threads of the core."""
