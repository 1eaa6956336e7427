"""Connections to the orchestrator, and who has one."""
