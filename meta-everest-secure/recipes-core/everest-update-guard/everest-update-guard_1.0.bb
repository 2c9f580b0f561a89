# Requirements: RAUC-05, RAUC-06, RAUC-07
SUMMARY = "What a charger asks of an update before it is written"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://everest-update-guard \
           file://everest-update-guard.8"

S = "${WORKDIR}"

# Nothing is compiled; the state that it needs may be a machine's own.
INHIBIT_DEFAULT_DEPS = "1"
PACKAGE_ARCH = "${MACHINE_ARCH}"

do_install() {
    install -D -m 0755 ${WORKDIR}/everest-update-guard ${D}${libexecdir}/everest-secure/everest-update-guard
    install -d ${D}${mandir}/man8
    install -m 0644 ${WORKDIR}/everest-update-guard.8 ${D}${mandir}/man8/
}

RDEPENDS:${PN} = "everest-state"
