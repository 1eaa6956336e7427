"""Cancels jobs: where a client asks for it, or stops waiting for its own."""
