"""How far one run, and one service, may grow: `make scale` takes every case in full, `make test` a small form of each.

A case does something big on a real `cody dev`, compares what it counted with what it should be, and watches what the
parts use meanwhile. Counts and equality are `broken`; memory and cost, which a busy machine blurs, are `grown`, and
only `make scale` judges them.
"""
