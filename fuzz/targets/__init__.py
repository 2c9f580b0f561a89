"""The targets; each module registers its own."""
