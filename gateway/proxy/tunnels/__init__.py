"""Connections that are HTTP no more."""
