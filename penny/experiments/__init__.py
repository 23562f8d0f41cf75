"""Experiments (A/B): who gets which arm, what came of it, and when one ends by itself."""
