"""Where a log goes when it is no longer young: `archivist` moves it into the store, `whole` reads both as one.

And where it comes from when Redis loses it: `healing` writes it again, by what `holdings` and the store have.
"""
