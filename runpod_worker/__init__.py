"""The pipeline and its engines, in a process of their own."""

import os


os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reads it when it is imported
