"""The keeper: a helper process that starts agents and can prove that nothing they started is left.

It runs as a program of its own (`door.main`, standard library only, started by `cody.agents.process`) and forks one
small keeper per agent. That one is a child subreaper (prctl(2), PR_SET_CHILD_SUBREAPER): whatever an agent starts and
abandons, also by a double fork, in another session or with an empty environment, becomes its child. So `waitpid`
answering ECHILD is the proof that the whole tree is gone.

To the door (a Unix stream socket): one byte with five descriptors, `CONTROL, SPEC, STDIN, STDOUT, STDERR`; SPEC is a
file with the JSON `{"argv", "cwd", "env", "grace"}`. Over CONTROL, a JSON object a line: the keeper says `{"pid"}` or
`{"failed": errno, "at"}`, then `{"exit": code}`, then `{"quiet": {"signals", "reaped", "survivors"}}`; the worker says
`{"end": [signal names], "grace": seconds}`. When CONTROL is closed the worker is gone, and the keeper ends the agent.

Without Linux there is no subreaper and no /proc: then only the agent's own process group is signalled.
"""
