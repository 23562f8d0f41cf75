"""Small asyncio primitives, one per file."""
