"""Calls kept: a record of every call, its sound, and where both lie, for how long and for whom."""
