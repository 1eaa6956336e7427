"""Who a token belongs to."""
