"""The Kubernetes API as a client: calls, credentials, and caches that follow the server."""
