"""Replays of what the real components answered, against ours."""
