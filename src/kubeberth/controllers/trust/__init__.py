"""Certificates that are signed, and tokens that end."""
