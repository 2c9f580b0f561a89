# Requirements: all that a package can satisfy
SUMMARY = "Everything that hardens a charger, apart from EVerest itself"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

# Machines set knobs of the recipes below, and libtss2-tcti-device gets the name of its library.
PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit packagegroup

RDEPENDS:${PN} = "\
    everest-broker-conf \
    everest-cert \
    everest-config \
    everest-data-partition \
    everest-factory-reset \
    everest-firewall \
    everest-gpio-access \
    ${@bb.utils.contains('EVEREST_HAWKBIT', '1', 'everest-hawkbit', '', d)} \
    everest-journal \
    ${@bb.utils.contains('EVEREST_MQTT_API', '1', 'everest-mqtt-api', '', d)} \
    everest-network \
    everest-openssl-policy \
    everest-rauc-dbus-policy \
    everest-reboot \
    everest-security-monitor \
    everest-service-hardening \
    everest-state \
    everest-sysctl \
    everest-tpm \
    everest-tpm-broker \
    everest-unit-policy \
    everest-usb-policy \
    everest-user \
    everest-watchdog \
    libtss2-tcti-device \
    rauc \
    rauc-conf \
    rauc-service \
    tpm2-abrmd \
    tpm2-openssl \
    tpm2-tss \
"
