"""Contract of the client, over a real server and over the fake in memory."""
