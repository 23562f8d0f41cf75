"""How Penny takes turns: two channels of sound, scored as tau-voice scores them."""
