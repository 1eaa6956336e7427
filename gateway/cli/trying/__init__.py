"""Trying what the settings name: the orchestrator, Redis, keys and certificates."""
