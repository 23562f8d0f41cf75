"""Every key of penny.yaml, its default, and where it was read."""

import os


os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reads it when it is imported
