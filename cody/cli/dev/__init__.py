"""`cody dev`: every part on one machine, each a process of its own, watched and ended together.

`command` (options) → `session` (what happens in which order) → `supervise` (processes) over `part`; `temporal`,
`redis`, `providers` and `service` say what each process is, `ports`, `lock` and `ready` what must be true before the
next step, `demo` is the run that a newcomer sees.
"""
