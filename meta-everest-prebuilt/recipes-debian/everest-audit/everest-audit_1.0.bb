SUMMARY = "The audit unit of CI images, the same as in the reference image"
LICENSE = "Apache-2.0"

STANDIN = "${EVEREST_PREBUILT_LAYER}/../scripts/everest_secure/reference/standins/recipes-core/everest-audit"
# nooelint: oelint.file.includerelpath,oelint.file.requirenotfound - the linter knows no variables of layer.conf
require ${STANDIN}/everest-audit_1.0.bb

LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

# nooelint: oelint.vars.fileextrapaths,oelint.vars.outofcontext - the files lie beside the required recipe
FILESEXTRAPATHS:prepend := "${STANDIN}/files:"

INHIBIT_DEFAULT_DEPS = "1"
