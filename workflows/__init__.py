"""What happens next in a run: deterministic, no I/O. A workflow names its activities by the stubs of `stubs`."""
