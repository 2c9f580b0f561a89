# An initial RAM disk of systemd alone.
#
# Purpose: what stands between the signed kernel and the root: dm-verity with the root hash of the signed command line (FS-02), the data partition made at
# first boot (FS-04), no shell (NET-07). For everest-secure-initramfs, and for a product's own in its place (INITRAMFS_IMAGE).
#
# Usage:
#   inherit everest-secure-initramfs
#   PACKAGE_INSTALL = "everest-initramfs systemd udev"

inherit image features_check

REQUIRED_DISTRO_FEATURES = "everest-secure systemd usrmerge"

EVEREST_INITRAMFS_MODULES ??= "\
    kernel-module-dm-crypt \
    kernel-module-dm-mod \
    kernel-module-dm-verity \
    kernel-module-efivarfs \
    kernel-module-erofs \
    kernel-module-ext4 \
    kernel-module-i6300esb \
    kernel-module-itco-wdt \
    kernel-module-loop \
    kernel-module-nvme \
    kernel-module-sha256-generic \
    kernel-module-squashfs \
    kernel-module-tpm-crb \
    kernel-module-tpm-tis \
    kernel-module-virtio-blk \
    kernel-module-virtio-pci \
    kernel-module-xts \
"
EVEREST_INITRAMFS_MODULES[doc] = "Kernel modules that lead to root, TPM, data partition and watchdog, where they are not built in."

IMAGE_FEATURES = ""
IMAGE_LINGUAS = ""
IMAGE_FSTYPES = "cpio.zst"
# The archive is looked for by the image's name alone.
IMAGE_NAME_SUFFIX = ""
IMAGE_ROOTFS_SIZE = "8192"
IMAGE_ROOTFS_EXTRA_SPACE = "0"
# What a person would look up, and what finds partitions by their type.
BAD_RECOMMENDATIONS += "systemd-extra-utils systemd-vconsole-setup udev-hwdb"
# A kernel in the initramfs would make it depend on the kernel, which it becomes a part of.
PACKAGE_EXCLUDE = "kernel-image-*"

ROOTFS_POSTPROCESS_COMMAND += "everest_secure_initrd_release"

# systemd takes a tree for an initrd when it has this file, and else would start a login.
everest_secure_initrd_release() {
    ln -sf ../usr/lib/os-release ${IMAGE_ROOTFS}${sysconfdir}/initrd-release
    rm -f ${IMAGE_ROOTFS}${sysconfdir}/fstab
    : > ${IMAGE_ROOTFS}${sysconfdir}/machine-id
}
everest_secure_initrd_release[doc] = "Marks the tree as an initrd, which mounts nothing by itself and has no first boot"
