"""libespeak-ng by ctypes: one object is one private copy of the library's global state.

The shared object comes with its data in the ``espeakng-loader`` wheel. eSpeak NG keeps its voice,
its dictionary and its callback in globals, so two threads need two copies of the library: the
file is copied under another name, loaded (the loader then maps it anew) and unlinked.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import espeakng_loader

from penny.errors import EngineError


# Values of espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POS_CHARACTER = 1
_PARAMETER_RATE = 1
_PARAMETER_PITCH = 3
_OK = 0
_IPA = 2
_MARKS = ".,;:!?…"
_CLAUSES = re.compile(r"(?<=[.,;:!?…])\s+")

_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)

MIN_RATE_WPM = 80
MAX_RATE_WPM = 450


class EspeakLibrary:
    """A private copy of the eSpeak NG library.

    Speaks one phrase at a time; not for use by two threads at once.

    ``rate_hz`` is the library's own sample rate (22,050).
    """

    def __init__(self, *, buffer_ms: int = 20) -> None:
        """Raises EngineError if the library cannot be loaded or does not find its data."""
        try:
            self._library = _load_private_copy()
        except OSError as error:
            raise EngineError(f"eSpeak NG does not load: {error}", stage="tts") from error
        self._declare()
        data_path = espeakng_loader.get_data_path().encode()
        self.rate_hz: int = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, buffer_ms, data_path, _INITIALIZE_DONT_EXIT
        )
        if self.rate_hz <= 0:
            raise EngineError("eSpeak NG does not find its voice data", stage="tts")
        self._sink: Callable[[bytes], bool] = lambda _: False
        self._failure: BaseException | None = None
        # ctypes keeps no reference of its own: a collected callback would crash the process.
        self._callback = _CALLBACK(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(
        self,
        text: str,
        *,
        voice: str,
        rate_wpm: int,
        pitch: int,
        sink: Callable[[bytes], bool],
    ) -> None:
        """Call ``sink`` with pieces of PCM16 until the text ends or ``sink`` returns False.

        Raises:
            EngineError: for a voice that the library does not have, or a failed synthesis.
        """
        self._sink, self._failure = sink, None
        if self._library.espeak_SetVoiceByName(voice.encode()) != _OK:
            raise EngineError(f"eSpeak NG has no voice {voice!r}", stage="tts")
        rate_wpm = max(MIN_RATE_WPM, min(MAX_RATE_WPM, rate_wpm))
        self._library.espeak_SetParameter(_PARAMETER_RATE, rate_wpm, 0)
        self._library.espeak_SetParameter(_PARAMETER_PITCH, pitch, 0)
        data = text.replace("\0", " ").encode() + b"\0"
        status = self._library.espeak_Synth(
            data, len(data), 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None
        )
        if self._failure is not None:
            raise self._failure
        if status != _OK:
            raise EngineError(f"eSpeak NG failed with status {status}", stage="tts")

    def phonemes(self, text: str, voice: str) -> list[str]:
        """The text in IPA with stress, a clause at a time, each with the mark that ends it.

        Raises:
            EngineError: for a voice that the library does not have.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != _OK:
            raise EngineError(f"eSpeak NG has no voice {voice!r}", stage="tts")
        return [
            f"{self._sounds(clause)}{clause[-1:] if clause[-1:] in _MARKS else ''} "
            for clause in _CLAUSES.split(text.replace("\0", " ").strip())
        ]

    def _sounds(self, clause: str) -> str:
        buffer = ctypes.create_string_buffer(clause.encode())
        at = ctypes.c_void_p(ctypes.addressof(buffer))
        sounds = []
        while at.value:  # the library moves it on, and to nowhere at the end
            sounds.append(self._library.espeak_TextToPhonemes(ctypes.byref(at), _CHARS_UTF8, _IPA))
        return " ".join(sound.decode() for sound in sounds if sound)

    def _receive(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int) -> int:
        """The library's callback; anything but 0 stops the synthesis where it is."""
        if count <= 0 or not ctypes.cast(samples, ctypes.c_void_p).value:
            return 0
        try:
            return 0 if self._sink(ctypes.string_at(samples, count * 2)) else 1
        except BaseException as error:  # an exception cannot cross C: speak() raises it again
            self._failure = error
            return 1

    def _declare(self) -> None:
        library = self._library
        library.espeak_Initialize.argtypes = [
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_char_p,
            ctypes.c_int,
        ]
        library.espeak_SetSynthCallback.argtypes = [_CALLBACK]
        library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        library.espeak_TextToPhonemes.argtypes = [
            ctypes.POINTER(ctypes.c_void_p),
            ctypes.c_int,
            ctypes.c_int,
        ]
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
        library.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]


def _load_private_copy() -> ctypes.CDLL:
    source = Path(espeakng_loader.get_library_path()).resolve()
    with tempfile.TemporaryDirectory(prefix="penny-espeak-") as folder:
        copy = Path(folder) / source.name
        shutil.copyfile(source, copy)
        return ctypes.CDLL(str(copy))
