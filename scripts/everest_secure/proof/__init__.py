"""What running targets showed, read and merged into reports."""
