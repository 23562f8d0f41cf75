"""Makes the small closed-set Whisper that the project ships. Needs torch; see README.md."""
