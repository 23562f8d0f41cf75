"""Makes the process that has this folder on its path load the tests' XTTS with its narrow vocoder.

Python imports this by its name at the start. See ``tests/checkpoints/tiny_xtts.py``.
"""

from __future__ import annotations

import functools
import os


if "PENNY_VOCODER_CHANNELS" in os.environ:
    from TTS.tts.models import xtts

    xtts.HifiDecoder = functools.partial(
        xtts.HifiDecoder,
        upsample_initial_channel_decoder=int(os.environ["PENNY_VOCODER_CHANNELS"]),
    )
