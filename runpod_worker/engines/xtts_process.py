"""One XTTS-v2 in a process of its own: frames on stdin, frames on stdout.

Run by path, maybe by another environment's Python (coqui-tts pins what the worker does not), so
nothing of Penny's is imported. A frame is one byte of kind, four of length (little endian), and
the payload. In: ``S`` speak (JSON), ``C`` cancel (JSON). Out: ``R`` ready (JSON), ``A`` audio (four
bytes of job, PCM16), ``E`` end of a job (JSON; ``error`` when it failed).
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import struct
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO


Json = dict[str, Any]

HEAD = struct.Struct("<cI")
JOB = struct.Struct("<I")
STREAM_CHUNK_TOKENS = 20
"""Audio tokens per piece, the library's own default: about a second; fewer sound choppy."""


class XttsModel:
    """The model and the latents of the voices it has spoken with."""

    def __init__(self, folder: Path, device: str) -> None:
        # Here: the library takes seconds to import, and its output must already be redirected.
        import torch
        from TTS.tts.configs.xtts_config import XttsConfig
        from TTS.tts.models.xtts import Xtts

        self._torch = torch
        config = XttsConfig()
        config.load_json(str(folder / "config.json"))
        self._model = Xtts(config)
        self._model.load_checkpoint(config, checkpoint_dir=str(folder), eval=True)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model.to(device)
        self.device = device
        self.rate_hz = int(config.audio.output_sample_rate)
        self.languages = [str(language) for language in config.languages]
        manager = self._model.speaker_manager
        self._named: Json = dict(manager.speakers) if manager is not None else {}
        self._latents: dict[str, tuple[Any, Any]] = {}
        weights = (folder / "model.pth").stat()
        self._weights = f"{weights.st_size}-{weights.st_mtime_ns}"

    @property
    def voices(self) -> list[str]:
        return sorted(self._named)

    def speak(self, job: Json) -> Any:
        """Stream PCM16 pieces; closing the generator stops the model."""
        latent, embedding = self._voice(job.get("sample") or "", job.get("speaker") or "")
        chunks = self._model.inference_stream(
            job["text"],
            job["language"],
            latent.to(self.device),
            embedding.to(self.device),
            stream_chunk_size=STREAM_CHUNK_TOKENS,
            speed=job.get("speed", 1.0),
            # The library's own splitting wants spacy; the parent sends what the model can say.
            enable_text_splitting=False,
        )
        try:
            for chunk in chunks:
                pcm = (chunk.clamp(-1, 1) * 32767).to(self._torch.int16).cpu().numpy().tobytes()
                yield pcm
        finally:
            chunks.close()

    def _voice(self, sample: str, speaker: str) -> tuple[Any, Any]:
        key = sample or speaker
        if key not in self._latents:
            self._latents[key] = self._clone(Path(sample)) if sample else self._find(speaker)
        return self._latents[key]

    def _find(self, speaker: str) -> tuple[Any, Any]:
        known = self._named.get(speaker) or next(iter(self._named.values()), None)
        if known is None:
            raise ValueError("the model has no voice of its own; add one: python -m penny voices")
        return known["gpt_cond_latent"], known["speaker_embedding"]

    def _clone(self, sample: Path) -> tuple[Any, Any]:
        """Latents of a recording, kept beside it as long as recording and weights stay."""
        digest = hashlib.sha256(sample.read_bytes() + self._weights.encode()).hexdigest()
        kept = sample.with_suffix(f".{digest[:12]}.latents")
        if kept.is_file():
            stored = self._torch.load(kept, weights_only=True, map_location="cpu")
            return stored["latent"], stored["embedding"]
        latent, embedding = self._model.get_conditioning_latents(audio_path=[str(sample)])
        beside = kept.with_suffix(f".{os.getpid()}")
        self._torch.save({"latent": latent.cpu(), "embedding": embedding.cpu()}, beside)
        beside.replace(kept)
        return latent, embedding


class Frames:
    """What goes to the parent; one writer at a time."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def send(self, kind: bytes, payload: bytes) -> None:
        self._out.write(HEAD.pack(kind, len(payload)) + payload)
        self._out.flush()

    def tell(self, kind: bytes, **fields: Any) -> None:
        self.send(kind, json.dumps(fields).encode())


def read_frame(source: BinaryIO) -> tuple[bytes, bytes] | None:
    """The next frame, or None at the end."""
    head = source.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    kind, size = HEAD.unpack(head)
    return kind, source.read(size)


def serve(speaker: XttsModel, source: BinaryIO, frames: Frames) -> None:
    """Speak the jobs in order until the parent closes our stdin."""
    jobs: queue.SimpleQueue[Json | None] = queue.SimpleQueue()
    cancelled: set[int] = set()  # one job at a time: holds one number, at most

    def read() -> None:
        while frame := read_frame(source):
            kind, payload = frame
            told = json.loads(payload)
            if kind == b"C":
                cancelled.add(told["job"])
            else:
                jobs.put(told)
        jobs.put(None)

    threading.Thread(target=read, name="frames", daemon=True).start()
    while (job := jobs.get()) is not None:
        error = ""
        try:
            chunks = speaker.speak(job)
            for pcm in chunks:
                if job["job"] in cancelled:
                    chunks.close()
                    break
                frames.send(b"A", JOB.pack(job["job"]) + pcm)
        except Exception as failure:  # the parent tells its caller; this process goes on
            error = f"{type(failure).__name__}: {failure}"
        cancelled.discard(job["job"])
        frames.tell(b"E", job=job["job"], error=error)


def main() -> None:
    # Libraries print; the frames get the real stdout and everything else goes to stderr.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    frames = Frames(out)
    speaker = XttsModel(Path(sys.argv[1]), sys.argv[2])
    frames.tell(
        b"R",
        rate_hz=speaker.rate_hz,
        device=speaker.device,
        languages=speaker.languages,
        voices=speaker.voices,
    )
    serve(speaker, sys.stdin.buffer, frames)


if __name__ == "__main__":
    main()
