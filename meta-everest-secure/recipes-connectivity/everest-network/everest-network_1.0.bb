# Requirement: NET-05
SUMMARY = "Networks: an address from the operator, link-local alone with the vehicle"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://10-everest-plc.network \
           file://15-everest-management.network \
           file://50-everest-resolved.conf \
           file://79-everest-other.network"

inherit everest-secure-network

do_install() {
    install -D -m 0644 ${B}/10-everest-plc.network ${D}${systemd_unitdir}/network/10-everest-plc.network
    install -m 0644 ${B}/15-everest-management.network ${D}${systemd_unitdir}/network/15-everest-management.network
    install -m 0644 ${WORKDIR}/79-everest-other.network ${D}${systemd_unitdir}/network/79-everest-other.network
    install -D -m 0644 ${WORKDIR}/50-everest-resolved.conf ${D}${systemd_unitdir}/resolved.conf.d/50-everest-resolved.conf
}

FILES:${PN} += "${systemd_unitdir}/network ${systemd_unitdir}/resolved.conf.d"

RDEPENDS:${PN} = "systemd"
