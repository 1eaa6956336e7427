"""Watches jobs until they end, for all who wait."""
