"""What keeps a caller company while a worker is on its way."""
