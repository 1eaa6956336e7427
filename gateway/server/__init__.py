"""A process that serves, and several of them."""
