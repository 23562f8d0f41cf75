"""Makes a folder of callers' sentences for ``--recordings``: sound, and what Whisper writes of it.

python -m tests.bench.turns.sentences FOLDER --whisper MODEL [--kokoro MODEL] [--half 0|1]

WAVs that lie in FOLDER are kept. With ``--kokoro`` the sentences below are said into it, one half
of them: a half is for tuning, the other is never looked at before a change is done.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import wave
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel

from runpod_worker.engines.kokoro import KokoroTts
from runpod_worker.settings import KokoroSettings
from runpod_worker.stages import TTS_RATE_HZ, Voice
from tests.bench.pipeline import speech
from tests.bench.turns.sounds import RATE_HZ, WRITTEN, Samples, halves_of, samples_of


VOICES = ("ef_dora", "em_alex")
SENTENCES = (
    "Quería saber cuánto falta para que llegue mi pedido.",
    "Me gustaría cambiar la fecha de la cita.",
    "¿Tienen aparcamiento cerca de la tienda?",
    "Llamo porque no me funciona el teléfono desde ayer.",
    "Quiero dar de baja la línea de mi madre.",
    "¿A qué hora cierran los sábados?",
    "No me ha llegado la factura de este mes.",
    "Necesito que me envíen otra tarjeta.",
    "El técnico no vino a casa esta mañana.",
    "¿Cuánto tarda una transferencia a Francia?",
    "He perdido la contraseña de mi cuenta.",
    "Me han cobrado dos veces el mismo recibo.",
    "Busco un piso con dos habitaciones en el centro.",
    "¿Puedo devolver un regalo sin el tique?",
    "Querría hablar con alguien del departamento de ventas.",
    "La lavadora que compré hace ruido.",
    "Mi dirección ha cambiado hace una semana.",
    "¿Qué documentos hacen falta para abrir una cuenta?",
    "Prefiero que me llamen por la tarde.",
    "Se ha ido la luz en todo el edificio.",
    "Estoy interesado en la oferta de fibra y móvil.",
    "¿Hay que pagar algo por cancelar la reserva?",
    "Mi hijo tiene fiebre desde el lunes.",
    "Compré una chaqueta y me queda pequeña.",
    "¿Me puede repetir el número de la reclamación?",
    "Voy a llegar media hora tarde a la revisión.",
    "Todavía no he recibido el dinero de la devolución.",
    "¿Dónde puedo recoger el paquete?",
    "Tengo una avería en la caldera y hace frío.",
    "Me interesa el curso de inglés para adultos.",
    "El enlace que me mandaron no se abre.",
    "¿Cuál es el plazo para presentar la solicitud?",
    "Quisiera añadir a mi pareja al contrato.",
    "Mi coche está en el taller y necesito uno de alquiler.",
    "¿Se puede pagar en tres veces?",
    "No entiendo este cargo de veinte euros.",
    "Hemos reservado una mesa para cuatro personas.",
    "¿Por qué ha subido el precio del gas?",
    "Perdí el tren por culpa del retraso.",
    "Me mudo en septiembre a otra ciudad.",
)


async def say(folder: Path, model: Path, half: int) -> None:
    """Every second sentence, each in another voice."""
    kokoro = KokoroTts(KokoroSettings(model=model))
    for index in range(half, len(SENTENCES), 2):
        path = folder / f"es_kokoro-{index:02}.wav"
        if path.exists():
            continue
        name = VOICES[index // 2 % len(VOICES)]
        voice = Voice(language="es", name=name, speed=(1.0, 1.1, 0.9, 1.2)[index // 2 % 4])
        pcm = b"".join([piece async for piece in kokoro.synthesize(SENTENCES[index], voice)])
        with wave.open(str(path), "wb") as out:
            out.setparams((1, 2, TTS_RATE_HZ, 0, "NONE", ""))
            out.writeframes(pcm)
    await kokoro.aclose()


def write(model: WhisperModel, samples: Samples) -> str:
    """The words with a fifth of a second of silence around."""
    from penny.audio.resample import Resampler

    to_16k = Resampler(RATE_HZ, 16_000)
    pcm = to_16k.process(samples.astype("<i2").tobytes()) + to_16k.flush()
    sound = np.pad(np.frombuffer(pcm, "<i2").astype(np.float32) / 32768, 3200)
    segments, _ = model.transcribe(
        sound, language="es", beam_size=1, temperature=0.0, condition_on_previous_text=False
    )
    return " ".join(segment.text.strip() for segment in segments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--whisper", required=True)
    parser.add_argument("--kokoro", type=Path)
    parser.add_argument("--half", type=int, choices=(0, 1), default=0)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.kokoro:
        asyncio.run(say(given.folder, given.kokoro, given.half))
    whisper = WhisperModel(given.whisper, device="cpu", compute_type="int8", cpu_threads=1)
    written = {}
    for path in sorted(given.folder.glob("*.wav")):
        one = speech.load(path, RATE_HZ)
        if speech.is_one_sentence(one):
            whole = samples_of(b"".join(one.chunks))
            written[path.stem] = [write(whisper, part) for part in (whole, *halves_of(whole))]
            print(path.stem, written[path.stem], flush=True)
    told = json.dumps(written, ensure_ascii=False, indent=1)
    (given.folder / WRITTEN).write_text(told + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
