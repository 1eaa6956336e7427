"""The sync mode: create a job, wait for its end, answer its result."""
