"""Where a log goes when it is no longer young: `archivist` moves it into the store, `whole` reads both as one."""
