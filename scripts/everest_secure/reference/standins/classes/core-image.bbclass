# Stand-in for OE-Core's core-image.bbclass: an image that may add EXTRA_IMAGE_FEATURES.
EXTRA_IMAGE_FEATURES ??= ""
IMAGE_FEATURES += "${EXTRA_IMAGE_FEATURES}"
inherit image
