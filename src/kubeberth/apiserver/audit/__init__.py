"""The audit log: who has asked for what, and what came of it."""
