"""One WebRTC peer connection on the answering side: a voice each way and a channel of events.

The engine is Chrome's own (package ``wrtc``): its jitter buffer stretches and conceals what the
network loses, which no Python implementation does. Connections on loopback need
``allow_loopback`` before the first one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import structlog
import webrtc
from webrtc import (
    AudioData,
    AudioDataInit,
    MediaStreamTrack,
    MediaStreamTrackGenerator,
    MediaStreamTrackProcessor,
    MediaStreamTrackProcessorInit,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpCodec,
    RTCRtpReceiver,
    RTCSessionDescriptionInit,
)

from penny.aio.tasks import TaskOwner
from penny.audio.format import AudioFormat
from penny.errors import ProtocolError


log = structlog.get_logger()

GATHER_S = 3.0
"""Most that finding addresses may take: a STUN or TURN server that does not answer is left out,
since the answer carries every candidate (no trickle)."""
CONNECT_S = 20.0
"""A caller whose connection is not up by then is gone; libwebrtc itself gives up after about 30."""
KEPT_CHUNKS = 100
"""Received pieces of 10 ms that wait for the loop: a second of a stalled gateway is not lost."""
RATE_HZ = 24_000
OPUS_CLOCK_HZ = 48_000


@dataclass(frozen=True, slots=True)
class IceSettings:
    """How callers reach this machine.

    ``servers``: (addresses, user name, credential). ``port_range``: of UDP and TCP ports; None
    takes any.
    """

    servers: Sequence[tuple[Sequence[str], str | None, str | None]] = ()
    port_range: tuple[int, int] | None = None


class Peer:
    """The connection with one caller."""

    def __init__(self, ice: IceSettings) -> None:
        servers = [RTCIceServer(list(urls), user, word) for urls, user, word in ice.servers]
        self._connection = RTCPeerConnection(
            RTCConfiguration(ice_servers=servers, port_range=ice.port_range)
        )
        self._voice = MediaStreamTrackGenerator("audio")
        self._writer = self._voice.writable.get_writer()
        self._on_gone: Callable[[], None] = _ignore
        self._on_connected: Callable[[], None] = _ignore
        self._tasks = TaskOwner("webrtc", lambda _name, _error: self._leave())
        self._late: asyncio.TimerHandle | None = None
        self._is_gone = False

    async def answer(
        self,
        offer: str,
        *,
        on_audio: Callable[[bytes, AudioFormat], None],
        on_channel: Callable[[webrtc.RTCDataChannel], None],
        on_gone: Callable[[], None],
        on_connected: Callable[[], None] | None = None,
    ) -> str:
        """The answer (SDP) to a caller's offer, with every candidate of ours in it.

        Args:
            on_audio: takes what is heard: PCM16 and its format, about every 10 ms.
            on_channel: takes each channel that the caller opens.
            on_gone: called once when the connection is lost or closed by the caller.
            on_connected: called once when it stands.

        Raises:
            ProtocolError: the offer is no SDP, has no audio, or cannot be answered.
        """
        self._on_gone, self._on_connected = on_gone, on_connected or _ignore
        connection = self._connection
        connection.on("track", lambda event: self._hear(event.track, on_audio))
        connection.on("datachannel", lambda event: on_channel(event.channel))
        connection.on("connectionstatechange", lambda _event: self._follow_state())
        gathered = asyncio.Event()
        connection.on("icegatheringstatechange", lambda _event: self._follow_gathering(gathered))
        try:
            await connection.set_remote_description(RTCSessionDescriptionInit("offer", offer))
            heard = [t for t in connection.get_transceivers() if t.receiver.track.kind == "audio"]
            if not heard:
                raise ProtocolError("sdp: the offer has no audio", field="sdp")
            for transceiver in heard:
                transceiver.set_codec_preferences(_codecs())
            # In a stream: a page plays ``event.streams[0]``, which a bare track does not have.
            connection.add_track(self._voice, webrtc.MediaStream([self._voice]))
            await connection.set_local_description(await connection.create_answer())
        except (webrtc.RTCError, webrtc.InvalidAccessError, webrtc.OperationError) as error:
            message = f"sdp: the offer cannot be answered: {error}"
            raise ProtocolError(message, field="sdp") from error
        try:
            async with asyncio.timeout(GATHER_S):
                await gathered.wait()
        except TimeoutError:
            log.warning("ice_server_silent", after_s=GATHER_S)
        loop = asyncio.get_running_loop()
        self._late = loop.call_later(CONNECT_S, partial(self._give_up, "not_connected"))
        described = connection.local_description
        assert described is not None
        return described.sdp

    def play(self, pcm24k: bytes) -> None:
        """Send 20 ms of voice. Called every 20 ms, in silence too: the caller's jitter buffer
        follows the stream's clock, which stands still while nothing is sent."""
        if self._is_gone:
            return
        frames = len(pcm24k) // 2
        piece = AudioDataInit(
            format="s16",
            sample_rate=RATE_HZ,
            number_of_frames=frames,
            number_of_channels=1,
            timestamp=0,
            data=pcm24k,
        )
        self._writer.write(AudioData(piece))

    async def aclose(self) -> None:
        """Close the connection. Idempotent."""
        self._is_gone = True
        self._stop_waiting()
        self._connection.close()
        await self._tasks.aclose()

    # -- inside -------------------------------------------------------------------------------

    def _hear(
        self, track: MediaStreamTrack, on_audio: Callable[[bytes, AudioFormat], None]
    ) -> None:
        if track.kind == "audio":
            self._tasks.spawn(_read(track, on_audio), name="webrtc audio")

    def _follow_gathering(self, gathered: asyncio.Event) -> None:
        if self._connection.ice_gathering_state == "complete":
            gathered.set()

    def _follow_state(self) -> None:
        state = self._connection.connection_state
        if state == "connected":
            self._stop_waiting()
            on_connected, self._on_connected = self._on_connected, _ignore
            on_connected()
        elif state in ("failed", "closed"):
            self._give_up(str(state))

    def _give_up(self, why: str) -> None:
        log.info("webrtc_gone", why=why)
        self._leave()

    def _leave(self) -> None:
        self._stop_waiting()
        if not self._is_gone:
            self._is_gone = True
            self._on_gone()

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


async def _read(track: MediaStreamTrack, on_audio: Callable[[bytes, AudioFormat], None]) -> None:
    init = MediaStreamTrackProcessorInit(track, max_buffer_size=KEPT_CHUNKS)
    async for data in MediaStreamTrackProcessor(init).readable:
        assert isinstance(data, AudioData)
        with data:
            pcm = _read_mono(data)
            heard = AudioFormat("pcm16", round(data.sample_rate or 0))
        on_audio(pcm, heard)


@cache
def _codecs() -> list[RTCRtpCodec]:
    """The engine's own, but for keys by Opus' clock alone: those that a browser sends by another
    are taken for a sixth as long, and their tones are too short to be known."""
    capabilities = RTCRtpReceiver.get_capabilities("audio")
    assert capabilities is not None
    return [each for each in capabilities.codecs if not _is_key_by_other_clock(each)]


def _is_key_by_other_clock(codec: RTCRtpCodec) -> bool:
    return codec.mime_type == "audio/telephone-event" and codec.clock_rate != OPUS_CLOCK_HZ


def _ignore() -> None:
    """For a moment that concerns no listener."""


def _read_mono(data: AudioData) -> bytes:
    """PCM16 of the first channel; libwebrtc gives interleaved samples."""
    options = webrtc.AudioDataCopyToOptions(plane_index=0, format="s16")
    samples = bytearray(data.allocation_size(options))
    data.copy_to(samples, options)
    channels = data.number_of_channels
    if channels == 1:
        return bytes(samples)
    return memoryview(samples).cast("h")[::channels].tobytes()
