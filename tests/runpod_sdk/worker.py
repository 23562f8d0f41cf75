"""The real handler in the real SDK's loop, with engines of fixed latency."""

from runpod_worker.handler import main
from tests.doubles.worker_process import load


if __name__ == "__main__":
    main(load)
