"""Several processes that share the client port: a parent, which keeps them, and its workers."""
