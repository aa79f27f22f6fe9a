"""The driver of Codex: `turn` is its path, `client` speaks to it through its SDK, `events` tells what it says.

What the SDK does not tell is read from the file of the thread (`transcript`), see docs/adr/011.
"""
