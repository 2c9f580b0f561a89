SUMMARY = "EVerest's stand-in, the same as in the reference image"
LICENSE = "Apache-2.0"

STANDIN = "${EVEREST_PREBUILT_LAYER}/../scripts/everest_secure/reference/standins/recipes-core/everest-core"
# nooelint: oelint.file.includerelpath,oelint.file.requirenotfound - the linter knows no variables of layer.conf
require ${STANDIN}/everest-core_git.bb

LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

# Debian's version numbers begin with a digit.
PV = "${EVEREST_VERSION}"

# nooelint: oelint.vars.fileextrapaths,oelint.vars.outofcontext - the files lie beside the required recipe
FILESEXTRAPATHS:prepend := "${STANDIN}/everest-core:"

INHIBIT_DEFAULT_DEPS = "1"
