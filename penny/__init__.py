"""Penny, a realtime voice gateway.

Imports nothing on purpose: the package is floor and roof of the house at once, and an eager
import here would make every lower room circular and the worker image impossible.
"""

__version__ = "0.1.0"
