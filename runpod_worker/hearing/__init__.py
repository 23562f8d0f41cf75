"""Hearing one caller: voice activity, turn decisions, and the utterance being transcribed."""

from runpod_worker.hearing.agent_voice import AgentVoice
from runpod_worker.hearing.listener import TurnListener


__all__ = ["AgentVoice", "TurnListener"]
