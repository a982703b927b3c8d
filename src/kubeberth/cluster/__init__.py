"""A whole cluster on one machine: every component a supervised process; the composition root."""
