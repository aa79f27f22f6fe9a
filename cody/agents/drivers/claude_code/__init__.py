"""The driver of Claude Code: `__main__` is the turn, `client` speaks to it through its SDK, `messages` tells the rest.

What is done so that nobody has to be there is in docs/adr/015.
"""
