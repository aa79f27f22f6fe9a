"""The record: runs, controls, responses, prompts and kept output; the only room that speaks SQL."""
