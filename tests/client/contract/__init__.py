"""What the user of a client can rely on, whether its server is real or the fake in memory."""
