"""Where the pods behind services are."""
