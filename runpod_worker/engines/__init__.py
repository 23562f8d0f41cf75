"""The engines behind the Protocols of ``runpod_worker.stages``, one file each, imported lazily."""
