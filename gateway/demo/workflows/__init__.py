"""Workflows: tasks that start one another, and how a job of theirs goes on."""
