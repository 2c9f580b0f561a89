"""RAUC bundles: made and verified with the real rauc."""
