"""What calls were about: moods, requests, entities, promises, and how each went."""
