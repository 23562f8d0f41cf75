"""Sessions that begin while their worker is still on its way."""
