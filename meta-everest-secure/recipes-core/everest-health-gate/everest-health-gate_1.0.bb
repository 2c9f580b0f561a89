# Requirement: RAUC-06
SUMMARY = "An updated slot is good after a health check, and given up otherwise"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://everest-health-check \
           file://everest-update-gate \
           file://everest-update-gate.service \
           file://everest-update-gate.timer \
           file://everest-health-check.8 \
           file://everest-update-gate.8"

inherit systemd everest-secure-template

EVEREST_TEMPLATES = "everest-health-check everest-update-gate.timer"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_HEALTH_CHECKS EVEREST_UPDATE_TRIAL"

SYSTEMD_SERVICE:${PN} = "everest-update-gate.timer"

do_install() {
    install -D -m 0755 ${B}/everest-health-check ${D}${libexecdir}/everest-secure/everest-health-check
    install -m 0755 ${WORKDIR}/everest-update-gate ${D}${libexecdir}/everest-secure/everest-update-gate
    install -D -m 0644 ${WORKDIR}/everest-update-gate.service ${D}${systemd_system_unitdir}/everest-update-gate.service
    install -m 0644 ${B}/everest-update-gate.timer ${D}${systemd_system_unitdir}/everest-update-gate.timer
    install -d ${D}${mandir}/man8
    install -m 0644 ${WORKDIR}/everest-health-check.8 ${WORKDIR}/everest-update-gate.8 ${D}${mandir}/man8/
}

FILES:${PN} += "${systemd_system_unitdir}"

# openssl asks the TPM; a start that hangs is ended by everest-watchdog.
RDEPENDS:${PN} = "everest-state everest-update-guard everest-watchdog openssl-bin tpm2-openssl"
