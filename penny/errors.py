"""Every error that Penny raises on purpose.

PennyError
├── ConfigError          penny.yaml or the environment is wrong; names the key and the line
│   └── ConfigErrors     all that is wrong with a file, at once
├── ProtocolError        a peer broke its protocol; names the field and the fix
├── Unauthorized         no key, or one that does not admit this
├── SessionRefused       the broker does not admit this session
│   └── LimitReached     a tenant or a key has used up what it may
├── ModeUnavailable      the mode cannot talk now; carries the remedy
├── SpeakerLost          the connection to what talks back ended
└── EngineError          a stage of the pipeline failed (stt, llm, tts, vad)
"""

from __future__ import annotations

from collections.abc import Sequence


class PennyError(Exception):
    """An error with a machine code, a sentence for a person, and whether trying again may help.

    Args:
        message: what is wrong and how to mend it, without personal data.
        code: stable machine name, snake_case.
        retryable: whether the same request may succeed later.
        field: the input field at fault, dotted, when there is one.
    """

    code = "penny_error"
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retryable: bool | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable


class ConfigError(PennyError):
    code = "config_invalid"

    def __init__(self, message: str, *, key: str | None = None, line: int | None = None) -> None:
        super().__init__(message, field=key)
        self.key = key
        self.line = line


class ConfigErrors(ConfigError):
    """Every ConfigError of one file, in the order of its lines."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__("\n".join(error.message for error in errors))
        self.errors = tuple(errors)


class ProtocolError(PennyError):
    code = "invalid_message"


class Unauthorized(PennyError):
    code = "unauthorized"


class SessionRefused(PennyError):
    code = "session_refused"
    retryable = True


class LimitReached(SessionRefused):
    """``code`` names the limit; ``retry_after_s`` tells when it may be open again."""

    code = "limit_reached"

    def __init__(self, message: str, *, code: str, retry_after_s: float) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class ModeUnavailable(PennyError):
    code = "mode_unavailable"

    def __init__(
        self, message: str, *, remedy: str = "", retryable: bool = False, code: str | None = None
    ) -> None:
        super().__init__(message, code=code, retryable=retryable, field="mode")
        self.remedy = remedy


class SpeakerLost(PennyError):
    code = "speaker_lost"
    retryable = True


class EngineError(PennyError):
    code = "engine_failed"

    def __init__(
        self, message: str, *, stage: str, code: str | None = None, retryable: bool = True
    ) -> None:
        super().__init__(message, code=code, retryable=retryable)
        self.stage = stage
