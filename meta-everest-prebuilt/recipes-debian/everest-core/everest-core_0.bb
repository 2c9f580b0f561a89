# EVerest's stand-in, the same as in the reference image.
STANDIN = "${EVEREST_PREBUILT_LAYER}/../scripts/everest_secure/reference/standins/recipes-core/everest-core"
require ${STANDIN}/everest-core_git.bb

# Debian's version numbers begin with a digit.
PV = "${EVEREST_VERSION}"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"
FILESEXTRAPATHS:prepend := "${STANDIN}/everest-core:"

INHIBIT_DEFAULT_DEPS = "1"
