"""Cleaner sound before words: cleaners, what they may cost, and the branches that use them."""
