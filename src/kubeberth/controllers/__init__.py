"""Controllers: reconcilers that work on the API."""
