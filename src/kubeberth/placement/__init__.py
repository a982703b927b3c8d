"""The placement engine: where a pod may go, and where it goes best; pure."""
