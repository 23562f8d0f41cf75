"""What the pipeline adds to its engines: engines of fixed latency, real VAD, real sockets."""
