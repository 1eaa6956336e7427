"""Who is an operator: by the machine a request comes from, by a token, or by a session."""
