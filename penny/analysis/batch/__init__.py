"""Analysis of calls that are over: steps, leases, workers."""
