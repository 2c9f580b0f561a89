# Requirement: NET-02
SUMMARY = "MQTT API for clients with a certificate, off until started, then for minutes"
DESCRIPTION = "A broker of its own in a network of its own. One relay brings it TLS connections from the management interface, another leads its \
bridge to EVerest's broker. `systemctl start everest-mqtt-api` turns all of it on; a timer turns it off."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://everest-mqtt-api.acl \
           file://everest-mqtt-api.conf \
           file://everest-mqtt-api.service \
           file://everest-mqtt-api-back.service \
           file://everest-mqtt-api-back.socket \
           file://everest-mqtt-api-front.service \
           file://everest-mqtt-api-front.socket \
           file://everest-mqtt-api-off.service \
           file://everest-mqtt-api-off.timer \
           file://everest-mqtt-api.8"

inherit everest-secure-mqtt-api

EVEREST_TEMPLATES = "everest-mqtt-api.acl everest-mqtt-api.conf everest-mqtt-api-front.socket everest-mqtt-api-off.timer"
EVEREST_TEMPLATE_NUMBERS = "EVEREST_MQTT_API_MINUTES"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_MANAGEMENT_INTERFACE EVEREST_MQTT_API_ACL EVEREST_MQTT_API_BRIDGE EVEREST_MQTT_API_MINUTES EVEREST_MQTT_API_PORT"

# No unit has an [Install] section: nothing can enable them.
do_install() {
    install -D -m 0644 ${B}/everest-mqtt-api.conf ${D}${sysconfdir}/mosquitto/everest-mqtt-api.conf
    install -m 0600 ${B}/everest-mqtt-api.acl ${D}${sysconfdir}/mosquitto/everest-mqtt-api.acl
    install -d ${D}${systemd_system_unitdir}
    install -m 0644 ${WORKDIR}/everest-mqtt-api*.service ${WORKDIR}/everest-mqtt-api-back.socket ${D}${systemd_system_unitdir}
    install -m 0644 ${B}/everest-mqtt-api-front.socket ${B}/everest-mqtt-api-off.timer ${D}${systemd_system_unitdir}
    install -d ${D}${mandir}/man8
    install -m 0644 ${WORKDIR}/everest-mqtt-api.8 ${D}${mandir}/man8/
}

FILES:${PN} += "${systemd_system_unitdir}"

# systemd-extra-utils: systemd-socket-proxyd
RDEPENDS:${PN} = "everest-broker-conf everest-firewall everest-state mosquitto systemd-extra-utils"
