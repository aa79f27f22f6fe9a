"""The run's log in Redis, and the only room that speaks Redis: keys, the fenced append, reading, the hub."""
