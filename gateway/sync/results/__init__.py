"""Results in a client's format."""
