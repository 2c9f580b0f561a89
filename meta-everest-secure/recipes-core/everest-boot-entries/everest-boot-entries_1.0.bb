# Requirements: RAUC-01, RAUC-06, BOOT-02
SUMMARY = "Boot entries A and B in the firmware, by which RAUC switches slots"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://everest-boot-entries \
           file://everest-boot-entries.service \
           file://everest-boot-entries.8"

inherit systemd

S = "${WORKDIR}"

# Nothing is compiled.
INHIBIT_DEFAULT_DEPS = "1"

SYSTEMD_SERVICE:${PN} = "everest-boot-entries.service"

do_install() {
    install -D -m 0755 ${WORKDIR}/everest-boot-entries ${D}${libexecdir}/everest-secure/everest-boot-entries
    install -D -m 0644 ${WORKDIR}/everest-boot-entries.service ${D}${systemd_system_unitdir}/everest-boot-entries.service
    install -d ${D}${mandir}/man8
    install -m 0644 ${WORKDIR}/everest-boot-entries.8 ${D}${mandir}/man8/
}

# RAUC reads and sets the boot order with the same program; meta-rauc adds no tool for this backend.
RDEPENDS:${PN} = "efibootmgr"
