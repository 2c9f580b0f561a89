# Requirement: NET-05
SUMMARY = "Network on the vehicle's side: link-local and nothing else"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://10-everest-plc.network"

inherit everest-secure-template

EVEREST_TEMPLATES = "10-everest-plc.network"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_PLC_INTERFACE"

do_install() {
    install -D -m 0644 ${B}/10-everest-plc.network ${D}${systemd_unitdir}/network/10-everest-plc.network
}

FILES:${PN} += "${systemd_unitdir}/network"

RDEPENDS:${PN} = "systemd"
