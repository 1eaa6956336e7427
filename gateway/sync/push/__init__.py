"""Hints that jobs have ended."""
