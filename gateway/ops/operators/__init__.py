"""The listener of operators, and what it tells them."""
