"""The clients' side: connections, requests and responses."""
