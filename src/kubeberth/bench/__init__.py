"""Benchmarks that users can run: of the engine here, of their machine, of their cluster."""
