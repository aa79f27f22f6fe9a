"""What is said between clients, agents and the parts of Cody: frozen models, no I/O.

`base` (the model and its id types) ← `errors` ← `items` ← `events` ← `responses`; `agents` ← `requests` ← `runs`;
`lifecycle` is the one table of what a pause, a resume or a cancel does to a run.
"""
