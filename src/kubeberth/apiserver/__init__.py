"""The API server: Kubernetes 1.36 on the wire, one generic path for every kind."""
