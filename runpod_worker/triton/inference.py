"""One inference in the v2 protocol's binary form: a JSON head, then the tensors' bytes.

Pure. https://github.com/kserve/kserve: docs/predict-api/v2, "binary data extension".
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import exp
from typing import Any

from runpod_worker.stages import SttOptions, Transcript


Json = dict[str, Any]

HEAD_LENGTH = "Inference-Header-Content-Length"
"""HTTP header: bytes of the JSON head."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How the server searches and what is trusted; the defaults are Whisper's own."""

    temperatures: tuple[float, ...] = (0.0,)
    log_prob: float = -1.0
    no_speech: float = 0.6
    compression_ratio: float = 2.4


WHISPERS_OWN = Thresholds()


def write_request(
    pcm16: bytes, options: SttOptions, thresholds: Thresholds = WHISPERS_OWN
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of ``POST /v2/models/whisper/infer``."""
    told = json.dumps(
        {
            "language": options.language,
            "prompt": options.prompt,
            "hot_words": list(options.hot_words),
            **asdict(thresholds),
        }
    ).encode()
    head = json.dumps(
        {
            "inputs": [
                _describe("PCM16", "INT16", len(pcm16) // 2, len(pcm16)),
                _describe("OPTIONS", "UINT8", len(told), len(told)),
            ],
            "outputs": [{"name": "TRANSCRIPT", "parameters": {"binary_data": True}}],
        }
    ).encode()
    headers = {HEAD_LENGTH: str(len(head)), "Content-Type": "application/octet-stream"}
    return head + pcm16 + told, headers


def read_response(
    body: bytes, head_length: str | None, thresholds: Thresholds = WHISPERS_OWN
) -> Transcript:
    """The transcript in a response. Raises ValueError for anything else."""
    size = int(head_length) if head_length else len(body)
    head = json.loads(body[:size])
    rest = body[size:]
    for output in head.get("outputs") or ():
        length = (output.get("parameters") or {}).get("binary_data_size")
        data = rest[:length] if length is not None else bytes(output["data"])
        rest = rest[length or 0 :]
        if output["name"] == "TRANSCRIPT":
            return _read_transcript(json.loads(data), thresholds.log_prob)
    raise ValueError("the response has no TRANSCRIPT")


def _describe(name: str, datatype: str, count: int, size: int) -> Json:
    return {
        "name": name,
        "datatype": datatype,
        "shape": [count],
        "parameters": {"binary_data_size": size},
    }


def _read_transcript(told: Json, min_log_prob: float) -> Transcript:
    logprob = told.get("avg_logprob")
    text = str(told["text"])
    return Transcript(
        text,
        str(told["language"]),
        understood=bool(text) and (logprob is None or logprob >= min_log_prob),
        confidence=None if logprob is None else exp(logprob),
    )
