"""Listening sockets, and who is let in."""
