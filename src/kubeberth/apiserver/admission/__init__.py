"""Admission: what is filled in or refused after decoding and before storing."""
