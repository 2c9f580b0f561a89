"""The target in QEMU: firmware, keys, console."""
