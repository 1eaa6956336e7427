"""What Prometheus reads: the table of all metrics, and the pages made of it."""
