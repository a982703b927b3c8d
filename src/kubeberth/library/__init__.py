"""kubeberth as a library: a cluster in memory to place pods in, to ask, and to try things on."""
