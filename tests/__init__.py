"""Tests, benches and what they share.

None of them downloads anything by itself: `penny.profile: auto` is the embedded profile here and
in every child. The newcomer's trial, which is about just that, takes the variable away.
"""

import os

from tests.plain_logs import write_plain_logs


os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reads it when it is imported
os.environ["PENNY_LIGHT"] = "1"
write_plain_logs()
