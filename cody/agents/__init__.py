"""Who does a turn: one file per kind behind the small protocol of `base`, and what processes need."""
