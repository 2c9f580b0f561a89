# Requirements: TLS-02, TPM-05
SUMMARY = "TLS policy of EVerest's programs, and which provider does what"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://openssl.cnf"

inherit allarch

S = "${WORKDIR}"

do_install() {
    install -D -m 0644 ${WORKDIR}/openssl.cnf ${D}${sysconfdir}/everest/openssl.cnf
}
