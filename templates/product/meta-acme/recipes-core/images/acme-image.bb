SUMMARY = "Image of Acme's chargers, for the field or for the workshop by EVEREST_PRODUCTION"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

inherit everest-secure-image

IMAGE_INSTALL = "\
    packagegroup-core-boot \
    everest-core \
    packagegroup-everest-secure \
"
