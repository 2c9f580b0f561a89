# Requirements: FS-03, FS-04
SUMMARY = "Data partition, made at first boot and encrypted if the product says so"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://50-data.conf \
           file://crypttab"

inherit everest-secure-template

EVEREST_TEMPLATES = "50-data.conf"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_DATA_ENCRYPT EVEREST_DATA_PARTITION_TYPE EVEREST_DATA_MIN_SIZE"
EVEREST_DATA_ENCRYPT = "${@'tpm2' if bb.utils.to_boolean(d.getVar('EVEREST_DATA_ENCRYPTION')) else 'off'}"

do_install() {
    install -D -m 0644 ${B}/50-data.conf ${D}${nonarch_libdir}/repart.d/50-data.conf
    if [ "${EVEREST_DATA_ENCRYPT}" = tpm2 ]; then
        install -D -m 0644 ${WORKDIR}/crypttab ${D}${sysconfdir}/crypttab
    fi
}

FILES:${PN} += "${nonarch_libdir}/repart.d"

RDEPENDS:${PN} = "cryptsetup e2fsprogs-e2fsck libtss2 libtss2-tcti-device systemd systemd-crypt"
