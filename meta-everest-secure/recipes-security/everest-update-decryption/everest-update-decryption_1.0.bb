# Requirement: RAUC-08
SUMMARY = "Encrypted bundles are decrypted with a key in the TPM"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://openssl.cnf \
           file://50-everest-decryption.conf"

S = "${WORKDIR}"

# Nothing is compiled.
INHIBIT_DEFAULT_DEPS = "1"

do_install() {
    install -D -m 0644 ${WORKDIR}/openssl.cnf ${D}${sysconfdir}/rauc/openssl.cnf
    install -D -m 0644 ${WORKDIR}/50-everest-decryption.conf ${D}${systemd_system_unitdir}/rauc.service.d/50-everest-decryption.conf
}

FILES:${PN} += "${systemd_system_unitdir}/rauc.service.d"

RDEPENDS:${PN} = "libtss2-tcti-device tpm2-openssl"
