# Requirement: RAUC-07
SUMMARY = "Firmware of the safety MCU comes with the update bundle"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://everest-mcu-update \
           file://everest-mcu-update.8"

inherit everest-secure-template

EVEREST_TEMPLATES = "everest-mcu-update"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_MCU_UPDATE_HANDLER EVEREST_MCU_IMAGE_BYTES EVEREST_MCU_UPDATE_SECONDS"

do_install() {
    install -D -m 0755 ${B}/everest-mcu-update ${D}${libexecdir}/everest-secure/everest-mcu-update
    install -d ${D}${mandir}/man8
    install -m 0644 ${WORKDIR}/everest-mcu-update.8 ${D}${mandir}/man8/
}
