"""What `benchmarks/fuzz_isolation.py` sends, by whom, and who may be let in."""
