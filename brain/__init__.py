"""The strong text model behind a fast speaker: it writes folios, and delays nothing."""

import os


os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reads it when it is imported
