"""Pure normalisation: the same words said, written or spelled give the same keys."""
