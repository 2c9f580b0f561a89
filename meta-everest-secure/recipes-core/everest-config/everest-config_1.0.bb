# Requirements: ACC-03, ACC-04, ACC-06, NET-01, TLS-01, LOG-01, FS-03, BIN-02
SUMMARY = "EVerest configuration of a hardened charger"
DESCRIPTION = "One AC charging point with ISO 15118-2 and OCPP 2.0.1, every path absolute and on the data partition. The hardware driver \
connects through EVerest's board support API; a product with a driver module of its own brings its own config.yaml."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://config.yaml"

inherit everest-secure-template

EVEREST_TEMPLATES = "config.yaml"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_PLC_INTERFACE"

do_install() {
    install -D -m 0644 ${B}/config.yaml ${D}${sysconfdir}/everest/config.yaml
}

RDEPENDS:${PN} = "everest-user"
