# Requirements: RAUC-01, RAUC-03, RAUC-05
SUMMARY = "Update bundle of a hardened charger"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

inherit bundle everest-secure-signing

RAUC_BUNDLE_COMPATIBLE = "${EVEREST_COMPATIBLE}"
RAUC_BUNDLE_VERSION = "${EVEREST_IMAGE_VERSION}"
RAUC_BUNDLE_FORMAT = "verity"

# Slots are written as they are: squashfs with its verity tree, and a vfat with the unified kernel image.
RAUC_BUNDLE_SLOTS = "rootfs efi"
RAUC_SLOT_rootfs = "everest-secure-image"
RAUC_SLOT_rootfs[fstype] = "squashfs.verity"
RAUC_SLOT_rootfs[rename] = "rootfs.img"
RAUC_SLOT_efi = "${EVEREST_EFI_RECIPE}"
RAUC_SLOT_efi[fstype] = "vfat"
RAUC_SLOT_efi[rename] = "efi.img"

# The development key alone; releases are signed outside BitBake.
RAUC_KEY_FILE = "${EVEREST_BUNDLE_KEY}"
RAUC_CERT_FILE = "${EVEREST_BUNDLE_CERT}"
EVEREST_SIGNING_FILES = "EVEREST_BUNDLE_KEY EVEREST_BUNDLE_CERT EVEREST_BUNDLE_INTERMEDIATE EVEREST_RAUC_KEYRING"
BUNDLE_ARGS = "--intermediate=${EVEREST_BUNDLE_INTERMEDIATE} --signing-keyring=${EVEREST_RAUC_KEYRING} -C keyring:check-purpose=codesign"
