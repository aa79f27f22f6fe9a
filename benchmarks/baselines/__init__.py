"""What the parts can do with nothing of ours on top: the denominators of the figures."""
