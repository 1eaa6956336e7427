"""One of several processes that share the client port."""
