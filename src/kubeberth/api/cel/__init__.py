"""CEL, the expression language of validation rules: as much of it as definitions use; pure."""
