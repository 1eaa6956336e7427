"""Workflows that are waited for: what tells that one has ended, and which result is its own."""
