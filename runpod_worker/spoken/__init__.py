"""What is written, as it is said: for the synthesis only; transcripts keep the original. Pure."""
