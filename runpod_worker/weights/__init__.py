"""Weights of the engines: which there are, where they come from, and that they are whole."""
