"""Drivers: programs that do a turn with an agent's official SDK, each in a process of its own.

An SDK brings its own threads, its own environment and its agent's CLI. In a process under a keeper all of that ends
with the turn, its threads are in nobody's way, and the CLI gets exactly the environment that the turn has.

A driver gets its order as one JSON line on stdin; the end of stdin asks it to interrupt the turn. It answers with JSON
lines on stdout (see `speech`), which `cody.agents.driven` turns into the turn's events.
"""
