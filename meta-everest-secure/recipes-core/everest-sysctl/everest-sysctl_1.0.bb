# Requirements: NET-05, KERN-01, BOOT-05
SUMMARY = "Kernel settings: interfaces kept apart, little shown, a crash restarts"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://60-everest.conf"

inherit allarch

S = "${WORKDIR}"

do_install() {
    install -D -m 0644 ${WORKDIR}/60-everest.conf ${D}${nonarch_libdir}/sysctl.d/60-everest.conf
}

FILES:${PN} += "${nonarch_libdir}/sysctl.d"
