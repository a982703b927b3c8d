"""The columns of tables, by area."""
