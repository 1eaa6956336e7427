"""What is wrong, or may not be as meant, with settings that are each allowed on their own."""
