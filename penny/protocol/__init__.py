"""The session protocol of ``/ws``: every message a model, no I/O, no clock. README.md is the spec."""
