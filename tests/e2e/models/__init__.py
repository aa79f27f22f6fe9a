"""Agents that ask a model, against a provider server of ours."""
