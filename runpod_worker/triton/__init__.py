"""Penny's model repository for NVIDIA Triton, and the form of what goes in and out.

``whisper/`` is the model: point ``tritonserver --model-repository`` at this folder.
"""
