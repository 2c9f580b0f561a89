# Requirements: FS-03, RAUC-05, LOG-03
SUMMARY = "Brings the data partition of a charger back to the state of the factory"
DESCRIPTION = "everest-factory-reset asks for it, and its unit does it at the next start, before anything uses the partition: logs, sessions and databases \
go, the identity of the charger stays unless everything is to go. What stays is written in the state list."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://everest-factory-reset \
           file://everest-factory-reset.8 \
           file://everest-factory-reset.service"

inherit systemd

S = "${WORKDIR}"

# Nothing is compiled; the state list may be a machine's own.
INHIBIT_DEFAULT_DEPS = "1"
PACKAGE_ARCH = "${MACHINE_ARCH}"

SYSTEMD_SERVICE:${PN} = "everest-factory-reset.service"

do_install() {
    install -D -m 0755 ${WORKDIR}/everest-factory-reset ${D}${sbindir}/everest-factory-reset
    install -D -m 0644 ${WORKDIR}/everest-factory-reset.8 ${D}${mandir}/man8/everest-factory-reset.8
    install -D -m 0644 ${WORKDIR}/everest-factory-reset.service ${D}${systemd_system_unitdir}/everest-factory-reset.service
}

# systemd-notify writes to the journal.
RDEPENDS:${PN} = "everest-state systemd tpm2-tools"
