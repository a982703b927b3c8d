"""LocalCluster: every component as a supervised process; the only composition root."""
