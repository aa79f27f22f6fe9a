"""What is done: take a turn, project it, record the run, end a turn. Thin; they join agents, stream and store."""
