"""Encryption of objects at rest, as a file of providers wants it."""
