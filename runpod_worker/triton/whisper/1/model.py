"""Triton's python backend: one copy of Whisper, one utterance per request.

It imports nothing of Penny's, so the folder alone is what a Triton image needs, beside
``faster-whisper``. In: PCM16 (mono, 16 kHz) and OPTIONS (JSON: language, prompt, hot_words,
temperatures, log_prob, no_speech, compression_ratio).
Out: TRANSCRIPT (JSON: text, language, avg_logprob, no_speech_prob, words).

Environment: PENNY_WHISPER_MODEL (folder of the weights), PENNY_WHISPER_COMPUTE_TYPE (over the
configuration's) and PENNY_PYTHON_PATH (where the libraries
are, as Triton's stub ignores PYTHONPATH).
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before faster-whisper imports onnxruntime
sys.path[:0] = filter(None, os.environ.get("PENNY_PYTHON_PATH", "").split(os.pathsep))

import numpy as np  # noqa: E402  # after the path is set
import triton_python_backend_utils as triton  # noqa: E402  # Triton's stub has it
from faster_whisper import WhisperModel  # noqa: E402


class TritonPythonModel:
    """Triton's own class and method names."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the weights; an exception here keeps the model from becoming ready."""
        parameters = {
            key: value["string_value"]
            for key, value in json.loads(args["model_config"]).get("parameters", {}).items()
        }
        on_gpu = args["model_instance_kind"] == "GPU"
        self._beam_size = int(parameters.get("beam_size", "5"))
        self._model = WhisperModel(
            os.environ.get("PENNY_WHISPER_MODEL") or parameters["model"],
            device="cuda" if on_gpu else "cpu",
            device_index=int(args["model_instance_device_id"]) if on_gpu else 0,
            compute_type=os.environ.get("PENNY_WHISPER_COMPUTE_TYPE")
            or parameters.get("compute_type", "default"),
            local_files_only=True,
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """One response per request, in order; a request that fails does not fail the others."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        try:
            pcm = triton.get_input_tensor_by_name(request, "PCM16").as_numpy()
            given = triton.get_input_tensor_by_name(request, "OPTIONS")
            options = json.loads(given.as_numpy().tobytes()) if given is not None else {}
            told = json.dumps(self._transcribe(pcm, options)).encode()
        except Exception as error:  # Triton's contract: the error is the response
            return triton.InferenceResponse(error=triton.TritonError(type(error).__name__))
        tensor = triton.Tensor("TRANSCRIPT", np.frombuffer(told, np.uint8))
        return triton.InferenceResponse([tensor])

    def _transcribe(self, pcm: Any, options: dict[str, Any]) -> dict[str, Any]:
        segments, info = self._model.transcribe(
            pcm.astype(np.float32) / 32768,
            language=options.get("language"),
            beam_size=self._beam_size,
            temperature=options.get("temperatures") or [0.0],
            log_prob_threshold=options.get("log_prob", -1.0),
            no_speech_threshold=options.get("no_speech", 0.6),
            compression_ratio_threshold=options.get("compression_ratio", 2.4),
            condition_on_previous_text=False,
            initial_prompt=options.get("prompt") or None,
            hotwords=" ".join(options.get("hot_words") or ()) or None,
        )
        found = list(segments)
        return {
            "text": "".join(segment.text for segment in found).strip(),
            "language": info.language,
            "avg_logprob": float(np.mean([one.avg_logprob for one in found])) if found else None,
            "no_speech_prob": max((one.no_speech_prob for one in found), default=1.0),
        }
