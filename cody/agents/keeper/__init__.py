"""The keeper: a helper process that starts agents and can prove that nothing they started is left.

It runs as a program of its own (`door.main`, standard library only, started by `cody.agents.keepers`) and forks small
keepers, which have one agent at a time. A keeper is a child subreaper (prctl(2), PR_SET_CHILD_SUBREAPER): whatever an
agent starts and abandons, also by a double fork, in another session or with an empty environment, becomes its child. So
`waitpid` answering ECHILD is the proof that the whole tree is gone.

To the door (a Unix stream socket): one byte with the descriptor of a keeper's CONTROL. Over that, an agent to keep: a
byte with four descriptors, `SPEC, STDIN, STDOUT, STDERR`; SPEC is a file with the JSON `{"argv", "cwd", "env",
"grace"}`. Then a JSON object a line: the keeper says `{"pid"}` or `{"failed": errno, "at"}`, then `{"exit": code}`,
then `{"quiet": {"signals", "reaped", "survivors"}}`; the worker says `{"end": [signal names], "grace": seconds}`. After
a quiet without survivors the keeper may be given its next agent. When CONTROL is closed the worker is gone, and the
keeper ends its agent and itself.

Without Linux there is no subreaper and no /proc: then only the agent's own process group is signalled.
"""
