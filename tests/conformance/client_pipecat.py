"""pipecat's ``OpenAIRealtimeLLMService`` in a pipeline of its own, without a transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    LLMFullResponseEndFrame,
    LLMMessagesAppendFrame,
    LLMRunFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.services.openai.stt import OpenAIRealtimeSTTService
from pipecat.transcriptions.language import Language
from pipecat.workers.runner import WorkerRunner

from tests.conformance import cases


class Collector(FrameProcessor):
    """Keeps what the service pushed downstream."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.changed = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            self.frames.append(frame)
            self.changed.set()
        await self.push_frame(frame, direction)

    def of(self, *kinds: type[Frame]) -> list[Any]:
        return [frame for frame in self.frames if isinstance(frame, kinds)]

    def words(self) -> str:
        return "".join(frame.text for frame in self.of(TTSTextFrame, LLMTextFrame))


class Talk:
    def __init__(self, llm: OpenAIRealtimeLLMService, worker: PipelineWorker, said: Collector):
        self.llm = llm
        self.worker = worker
        self.said = said
        self.items: dict[str, Any] = {}
        self.transcripts: list[str] = []
        self.errors: list[str] = []

    async def until(self, kind: type[Frame], count: int = 1) -> None:
        """Wait until ``count`` frames of a kind have come; fail on the service's first error."""
        while len(self.said.of(kind)) < count:
            assert not self.errors, self.errors[0]
            self.said.changed.clear()
            try:
                async with asyncio.timeout(1.0):
                    await self.said.changed.wait()
            except TimeoutError:
                continue  # an error comes by another way than the frames

    async def say(self, pcm: bytes) -> None:
        async def send(frame: bytes) -> None:
            await self.worker.queue_frame(InputAudioRawFrame(frame, cases.RATE_HZ, 1))

        await cases.stream(pcm, send)


@asynccontextmanager
async def talking(
    penny: cases.Penny, context: LLMContext, modality: str = "audio"
) -> AsyncIterator[Talk]:
    heard = events.AudioInput(transcription=events.InputAudioTranscription())
    properties = events.SessionProperties(
        audio=events.AudioConfiguration(input=heard), output_modalities=[modality]
    )
    llm = OpenAIRealtimeLLMService(
        api_key="any",
        base_url=f"{penny.ws_url}/v1/realtime",
        settings=OpenAIRealtimeLLMService.Settings(
            model="penny",
            system_instruction="Responde en español.",
            session_properties=properties,
        ),
    )
    pair = LLMContextAggregatorPair(context)
    said = Collector()
    worker = PipelineWorker(
        Pipeline([pair.user(), llm, said, pair.assistant()]), idle_timeout_secs=None
    )
    talk = Talk(llm, worker, said)

    @llm.event_handler("on_conversation_item_updated")
    async def keep(_service: Any, item_id: str, item: Any) -> None:
        if item is not None:
            talk.items[item_id] = item

    @worker.event_handler("on_pipeline_error")
    async def note(_worker: Any, frame: Any) -> None:
        talk.errors.append(frame.error)

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        yield talk
        assert not talk.errors, talk.errors[0]
    finally:
        await runner.cancel()
        await running


def asking(text: str, **options: Any) -> LLMContext:
    return LLMContext([{"role": "user", "content": text}], **options)


async def voice_turn(penny: cases.Penny) -> None:
    async with talking(penny, LLMContext()) as talk:
        await talk.say(penny.question)
        await talk.until(TTSAudioRawFrame)
        await talk.until(LLMFullResponseEndFrame)
        assert talk.said.words()


async def interruption(penny: cases.Penny) -> None:
    async with talking(penny, asking(cases.QUESTION)) as talk:
        await talk.worker.queue_frame(LLMRunFrame())
        await talk.until(TTSAudioRawFrame)
        await talk.say(penny.interruption)
        await talk.until(LLMFullResponseEndFrame, count=2)
        answers = [item for item in talk.items.values() if item.role == "assistant"]
        first = await talk.llm.retrieve_conversation_item(answers[0].id)
        assert len(first.content[0].transcript) < len(answers[0].content[0].transcript)


async def function_call(penny: cases.Penny) -> None:
    asked: list[str] = []

    async def look_up(params: FunctionCallParams) -> None:
        asked.append(params.arguments["id"])
        await params.result_callback(cases.TOOL_OUTPUT)

    tool = FunctionSchema(
        name=cases.TOOL_NAME,
        description="Consulta el estado de una factura",
        properties={"id": {"type": "string"}},
        required=["id"],
    )
    context = asking(cases.TOOL_REQUEST, tools=ToolsSchema(standard_tools=[tool]))
    async with talking(penny, context) as talk:
        talk.llm.register_function(cases.TOOL_NAME, look_up)
        await talk.worker.queue_frame(LLMRunFrame())
        await talk.until(TTSAudioRawFrame)
        await talk.until(LLMFullResponseEndFrame, count=2)
        assert asked == ["F-2024-1234"]
        assert talk.said.words()


async def text_turn(penny: cases.Penny) -> None:
    async with talking(penny, asking(cases.QUESTION), modality="text") as talk:
        await talk.worker.queue_frame(LLMRunFrame())
        await talk.until(LLMFullResponseEndFrame)
        assert talk.said.words()
        assert not talk.said.of(TTSAudioRawFrame)


async def system_item(penny: cases.Penny) -> None:
    async with talking(penny, asking(cases.QUESTION)) as talk:
        await talk.worker.queue_frame(LLMRunFrame())
        await talk.until(LLMFullResponseEndFrame)
        note = {"role": "system", "content": "El cliente se llama Juan."}
        # Past the user's aggregator, which would keep it for itself.
        await talk.llm.queue_frame(LLMMessagesAppendFrame([note], run_llm=True))
        await talk.until(LLMFullResponseEndFrame, count=2)
        assert "system" in {item.role for item in talk.items.values()}


async def transcription(penny: cases.Penny) -> None:
    """pipecat's realtime STT with the server's turn detection."""
    stt = OpenAIRealtimeSTTService(
        api_key="any",
        base_url=f"{penny.ws_url}/v1/realtime",
        turn_detection={"type": "server_vad"},
        settings=OpenAIRealtimeSTTService.Settings(model="gpt-4o-transcribe", language=Language.ES),
    )
    said = Collector()
    worker = PipelineWorker(
        Pipeline([stt, said]),
        params=PipelineParams(audio_in_sample_rate=cases.RATE_HZ),
        idle_timeout_secs=None,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())

    async def send(frame: bytes) -> None:
        await worker.queue_frame(InputAudioRawFrame(frame, cases.RATE_HZ, 1))

    try:
        await cases.stream(penny.question, send)
        while not said.of(TranscriptionFrame):
            said.changed.clear()
            await said.changed.wait()
        cases.check_words(said.of(TranscriptionFrame)[0].text)
    finally:
        await runner.cancel()
        await running


if __name__ == "__main__":
    cases.main(
        "pipecat",
        {
            "voice turn": voice_turn,
            "interruption": interruption,
            "function call": function_call,
            "text turn": text_turn,
            "system item": system_item,
            "transcription": transcription,
        },
    )
