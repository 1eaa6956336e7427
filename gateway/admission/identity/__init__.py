"""Identities: finding out to whom a token belongs."""
