"""Readers: one file of any kind becomes blocks or records, by a well-kept parser."""
