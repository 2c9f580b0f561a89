"""Readers of every artefact format, behind one read-only `Tree`."""
