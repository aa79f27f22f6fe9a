"""Turns of a model behind an API: a conversation goes out, an answer streams in, its tools run, until it calls none.

`loop` is the turn. `protocol` is what a provider is to it (a file each: `openai`, `anthropic`), `items` turns an answer
into the turn's items, `steps` finds in the log what earlier attempts finished, `tools` are the built-in tools.
"""
