# Requirements: NET-02, NET-04, NET-05, LOG-03
SUMMARY = "Packet filter of a charger"
DESCRIPTION = "Nothing comes in but what ISO 15118 needs on the PLC interface; without it there is no network."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://everest-firewall.nft \
           file://everest-firewall.service \
           file://50-everest-firewall.conf"

inherit systemd everest-secure-firewall

SYSTEMD_SERVICE:${PN} = "everest-firewall.service"

do_install() {
    install -D -m 0644 ${B}/everest-firewall.nft ${D}${sysconfdir}/nftables/everest-firewall.nft
    install -D -m 0644 ${WORKDIR}/everest-firewall.service ${D}${systemd_system_unitdir}/everest-firewall.service
    install -D -m 0644 ${WORKDIR}/50-everest-firewall.conf ${D}${systemd_system_unitdir}/systemd-networkd.service.d/50-everest-firewall.conf
}

FILES:${PN} += "${systemd_system_unitdir}/systemd-networkd.service.d"

RDEPENDS:${PN} = "nftables"
# Where the kernel has them as modules: without them the rules cannot be loaded.
RRECOMMENDS:${PN} = "kernel-module-nf-log-syslog kernel-module-nf-tables kernel-module-nft-ct kernel-module-nft-limit kernel-module-nft-log"
