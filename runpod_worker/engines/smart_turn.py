"""End of turn by Smart Turn v3 (ONNX, BSD-2): hears eight seconds, Spanish among its languages.

It costs about 0.1 s of one CPU thread, so it is asked once a pause, in a thread of its own, and
never alone: an unsure opinion only lengthens the silence that ends a turn, it does not prevent it.
"""

from __future__ import annotations

import asyncio
import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from faster_whisper.feature_extractor import FeatureExtractor

from penny.errors import EngineError
from runpod_worker.settings import SmartTurnSettings
from runpod_worker.stages import STT_RATE_HZ, EngineInfo


HEARD_S = 8
HEARD_SAMPLES = HEARD_S * STT_RATE_HZ
MEL_BANDS = 80
WHEEL_FILE = "audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx"
"""Where the wheel of ``pipecat-ai`` carries the model, for who has that installed."""


class SmartTurn:
    """TurnDetector with Smart Turn on ONNX Runtime.

    One session for all callers; ``threads`` opinions at once, more wait.
    """

    def __init__(self, settings: SmartTurnSettings, models: Path = Path("var/models")) -> None:
        """``models``: the folder of weights. Raises EngineError if the model does not load."""
        self.info = EngineInfo(name="smart-turn-v3", languages=("*",))
        self.time_limit_ms = settings.time_limit_ms
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(find_model(settings.model, models)), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises its own classes, by no common name
            raise EngineError(
                f"worker.engines.smart_turn.model: {settings.model} does not load: {error}; "
                "get it: python -m penny models pull smart-turn-v3, or choose turn: none",
                stage="turn",
                code="weights_missing",
                retryable=False,
            ) from error
        self._extract = FeatureExtractor(feature_size=MEL_BANDS, chunk_length=HEARD_S)
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="smart turn")

    async def judge(self, pcm: bytes) -> float:
        """See ``stages.TurnDetector``. Raises EngineError."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._infer, pcm)
        except RuntimeError as error:
            raise EngineError(f"smart turn failed: {error}", stage="turn") from error

    async def aclose(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _infer(self, pcm: bytes) -> float:
        features = self.features(pcm)
        output = self._session.run(None, {"input_features": features[None]})
        return float(np.ravel(output[0])[0])  # named logits, but a probability already

    def features(self, pcm: bytes) -> npt.NDArray[np.float32]:
        """Whisper's log-mel of the last eight seconds, silence on the left, unit variance."""
        heard = np.frombuffer(pcm, "<i2").astype(np.float32)[-HEARD_SAMPLES:] / np.float32(32768)
        padded = np.pad(heard, (HEARD_SAMPLES - len(heard), 0))
        normal = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
        mel: npt.NDArray[np.float32] = self._extract(normal.astype(np.float32), padding=0)
        return mel.astype(np.float32)


def find_model(path: Path, models: Path) -> Path:
    """``path``, else the file of that name in ``models`` or of profile natural, else a wheel's.

    Raises:
        FileNotFoundError: there is none.
    """
    for place in (path, models / path.name, models / "natural" / path.name):
        if place.is_file():
            return place
    spec = importlib.util.find_spec("pipecat")
    if spec is not None and spec.submodule_search_locations:
        carried = Path(spec.submodule_search_locations[0]) / WHEEL_FILE
        if carried.is_file():
            return carried
    raise FileNotFoundError("no such file")
