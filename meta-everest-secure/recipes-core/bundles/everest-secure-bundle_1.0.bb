# Requirements: RAUC-01, RAUC-02, RAUC-03, RAUC-05
SUMMARY = "Update bundle of a hardened charger"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

inherit everest-secure-bundle

EVEREST_BUNDLE_IMAGE = "everest-secure-image"
EVEREST_IMAGE_PRODUCTION = "1"
