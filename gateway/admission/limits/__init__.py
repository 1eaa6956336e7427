"""How much of it a token may take."""
