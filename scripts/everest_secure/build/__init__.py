"""Drives kas, collects what it made and checks it."""
