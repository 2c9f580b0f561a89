"""Stand-in for the hash server's client, see the package."""
