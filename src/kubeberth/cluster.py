"""LocalCluster: every component as a supervised process on one machine; the only composition root."""
