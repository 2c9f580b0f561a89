"""Stand-in for the part of OE-Core's Python library that this layer's classes call."""

BBIMPORTS = ["qa"]
