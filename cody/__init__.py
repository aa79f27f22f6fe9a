"""Cody: durable, watchable, controllable continuous runs of AI coding agents."""

__version__ = "0.1.0"
