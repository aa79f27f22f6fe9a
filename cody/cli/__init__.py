"""The hands, and the only wiring: every command is a file of its own, imported when it is called."""

from cody.cli.group import main

__all__ = ["main"]
