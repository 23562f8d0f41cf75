"""Analysis while a call lasts."""
