# Requirements: BOOT-03, FS-02, FS-04, BOOT-01, NET-07, LOG-02
SUMMARY = "Initial RAM disk of a hardened charger: checks the root and mounts it"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

inherit everest-secure-initramfs

PACKAGE_INSTALL = "\
    base-passwd \
    busybox \
    cryptsetup \
    e2fsprogs-mke2fs \
    everest-initramfs \
    os-release \
    systemd \
    udev \
"
# Drivers that a kernel has as modules; one with all of them built in has no such packages.
PACKAGE_INSTALL_ATTEMPTONLY = "${EVEREST_INITRAMFS_MODULES}"
