"""coqui-tts only asks whether it is installed; decoding is torchaudio's, which stands in too."""
