"""Processes that are forked, not started anew: by one that has made what they have in common."""
