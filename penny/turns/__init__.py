"""Decisions about who speaks, on the audio clock: time comes in as milliseconds of audio."""
