"""Simulated kubelets: nodes that register, heartbeat and run pods."""
