"""Keeps results of finished jobs for the clients that waited for them."""
