"""Audio as bytes: formats, G.711, rate conversion, framing, level, files. No clock, no loop."""
