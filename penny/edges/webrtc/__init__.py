"""The WebRTC edge: a Realtime client with its audio on tracks and its events on a data channel."""
