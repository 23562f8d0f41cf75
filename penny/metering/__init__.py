"""What a session costs, from the providers' own usage."""
