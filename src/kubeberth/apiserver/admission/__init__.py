"""Admission: who may fill in and refuse what is written; `roster.py` lists them all, in order."""
