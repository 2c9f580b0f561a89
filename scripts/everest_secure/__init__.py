"""Tooling of everest-secure: build, sign and verify hardened EVerest images."""

__version__ = "0.1.0"
