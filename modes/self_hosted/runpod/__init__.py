"""Workers rented on RunPod: a queue job is a lease, and its worker dials in."""
