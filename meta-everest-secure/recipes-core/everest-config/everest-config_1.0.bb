# Requirements: ACC-03, ACC-04, ACC-06, NET-01, TLS-01, OCPP-01, OCPP-02, TPM-04, CERT-07, LOG-01, FS-03, BIN-02
SUMMARY = "EVerest configuration of a hardened charger"
DESCRIPTION = "One AC charging point with ISO 15118 and OCPP, every path absolute and on the data partition. The hardware driver connects \
through EVerest's board support API; a product with a driver module of its own names its own files in EVEREST_CONFIG."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://ocpp-1.6.json file://device-model.json file://device-model-2.0.1.json file://device-model-multi.json file://everest-logs.conf"

inherit everest-secure-ocpp

do_install() {
    everest_secure_install_configuration
}

RDEPENDS:${PN} = "everest-identity everest-user"
