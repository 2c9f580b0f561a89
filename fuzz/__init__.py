"""Coverage-guided fuzzing of every reader of bytes that nobody vouches for (`make fuzz`, docs/fuzzing.md)."""
