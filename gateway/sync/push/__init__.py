"""Hints that jobs have ended, and whether to rely on them."""
