"""The scheduler: a process that watches, asks the placement engine, and binds."""
