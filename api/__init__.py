"""The door: routes, the stream, problems, and the gateway, which alone speaks to Temporal."""
