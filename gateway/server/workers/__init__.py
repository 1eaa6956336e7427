"""Several processes that share the client port, and the parent that keeps them."""
