# Stand-in for OE-Core's image.bbclass: the hooks are lists of functions, which the harness runs on a root file system.
IMAGE_INSTALL ??= ""
IMAGE_FSTYPES ??= "squashfs"
ROOTFS_POSTPROCESS_COMMAND ??= ""
IMAGE_QA_COMMANDS ??= ""
PACKAGES = ""
