"""What clients prefer of responses, as their fields say it. Pure."""
