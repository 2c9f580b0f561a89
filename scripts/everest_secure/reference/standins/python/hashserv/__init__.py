"""Stand-in for BitBake's hash server, which its PyPI package lacks: the library imports it and needs it for shared state alone."""
