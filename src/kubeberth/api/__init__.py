"""The vocabulary of the Kubernetes API: frozen objects, documents and their meaning; no I/O."""
