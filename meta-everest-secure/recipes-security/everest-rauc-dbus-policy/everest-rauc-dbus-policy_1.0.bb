# Requirement: RAUC-04
SUMMARY = "Who may drive RAUC over D-Bus: root and EVerest's service user"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://everest-rauc.conf"

S = "${WORKDIR}"

# Nothing is compiled; not allarch, as what it depends on is built for one architecture.
INHIBIT_DEFAULT_DEPS = "1"

do_install() {
    install -D -m 0644 ${WORKDIR}/everest-rauc.conf ${D}${sysconfdir}/dbus-1/system.d/everest-rauc.conf
}

RDEPENDS:${PN} = "everest-user"
