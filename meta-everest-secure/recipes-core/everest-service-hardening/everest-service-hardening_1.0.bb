# Requirements: ACC-04, ACC-05, TLS-02, FS-03, NET-01
SUMMARY = "Sandbox of everest.service"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://50-everest-secure.conf"

inherit everest-secure-service

do_install() {
    install -D -m 0644 ${B}/50-everest-secure.conf ${D}${systemd_system_unitdir}/everest.service.d/50-everest-secure.conf
}

FILES:${PN} += "${systemd_system_unitdir}/everest.service.d"

RDEPENDS:${PN} = "everest-openssl-policy everest-state everest-user"
