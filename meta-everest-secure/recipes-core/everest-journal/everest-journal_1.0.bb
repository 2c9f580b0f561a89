# Requirements: LOG-02, LOG-03
SUMMARY = "The journal outlives a reboot and never fills the data partition"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://50-everest.conf"

inherit everest-secure-template

EVEREST_TEMPLATES = "50-everest.conf"
EVEREST_TEMPLATE_NUMBERS = "${EVEREST_TEMPLATE_VARIABLES}"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_JOURNAL_MAX"

do_install() {
    install -D -m 0644 ${B}/50-everest.conf ${D}${systemd_unitdir}/journald.conf.d/50-everest.conf
}

FILES:${PN} += "${systemd_unitdir}/journald.conf.d"

RDEPENDS:${PN} = "everest-state systemd"
