"""Where objects are kept: bytes, revisions and events; knows no Kubernetes object."""
