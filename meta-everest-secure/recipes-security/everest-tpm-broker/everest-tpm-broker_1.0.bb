# Requirement: TPM-03
SUMMARY = "TPM resource manager of EVerest's TLS, confined"
DESCRIPTION = "EVerest's TLS needs tpm2-abrmd when its key is in the TPM. It works on top of the kernel's own resource manager, \
so that systemd and a program that opens /dev/tpmrm0 itself do not disturb it. Its D-Bus policy admits root and the group tss."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://50-everest-tpm-broker.conf"

inherit allarch

S = "${WORKDIR}"

do_install() {
    install -D -m 0644 ${WORKDIR}/50-everest-tpm-broker.conf \
        ${D}${systemd_system_unitdir}/tpm2-abrmd.service.d/50-everest-tpm-broker.conf
}

FILES:${PN} += "${systemd_system_unitdir}/tpm2-abrmd.service.d"
