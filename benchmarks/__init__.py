"""Figures of Cody beside what its parts do with nothing of ours on top, measured in the same run."""
