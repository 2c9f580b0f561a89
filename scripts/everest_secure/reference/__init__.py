"""The reference image: this layer's recipes on Debian packages."""
