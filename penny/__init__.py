"""Penny, a realtime voice gateway.

Imports nothing of its own on purpose: the package is floor and roof of the house at once, and an
eager import here would make every lower room circular and the worker image impossible.
"""

import os


os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reads it when it is imported

__version__ = "0.2.0"
