"""The routes, one by one."""
