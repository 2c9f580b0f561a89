# Requirements: RAUC-01, RAUC-02, RAUC-03, RAUC-05
SUMMARY = "Update bundle of a hardened charger on the bench"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

inherit everest-secure-bundle

# RAUC-02: another image, which trusts the development authority alone
EVEREST_BUNDLE_IMAGE = "everest-secure-image-development"
EVEREST_IMAGE_PRODUCTION = "0"
EVEREST_BUNDLE_DEVICE_KEYRING = "${EVEREST_RAUC_KEYRING_DEVELOPMENT}"
