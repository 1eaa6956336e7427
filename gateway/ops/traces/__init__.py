"""Spans of what was noted of traced requests, and their way to a collector."""
