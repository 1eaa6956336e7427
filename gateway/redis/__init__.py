"""The way to a Redis that several gateways share."""
