"""Certificate authorities and their keys."""
