# Requirement: NET-01
SUMMARY = "Configuration of EVerest's MQTT broker: one unix socket and no network listener"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://everest-broker.conf \
           file://50-everest-broker.conf"

S = "${WORKDIR}"

# Nothing is compiled; not allarch, as what it depends on is built for one architecture.
INHIBIT_DEFAULT_DEPS = "1"

do_install() {
    install -D -m 0644 ${WORKDIR}/everest-broker.conf ${D}${sysconfdir}/mosquitto/everest-broker.conf
    install -D -m 0644 ${WORKDIR}/50-everest-broker.conf ${D}${systemd_system_unitdir}/mosquitto.service.d/50-everest-broker.conf
}

FILES:${PN} += "${systemd_system_unitdir}/mosquitto.service.d"

RDEPENDS:${PN} = "mosquitto"
