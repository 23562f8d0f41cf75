"""The session protocol of ``/ws``: all its messages as models. README.md is the spec."""
