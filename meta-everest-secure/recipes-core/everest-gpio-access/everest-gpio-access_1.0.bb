# Requirements: ACC-02, ACC-05
SUMMARY = "GPIO lines for the group gpio, whose member the service user is"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://60-everest-gpio.rules"

S = "${WORKDIR}"

# Nothing is compiled; not allarch, as what it depends on is built for one architecture.
INHIBIT_DEFAULT_DEPS = "1"

do_install() {
    install -D -m 0644 ${WORKDIR}/60-everest-gpio.rules ${D}${nonarch_base_libdir}/udev/rules.d/60-everest-gpio.rules
}

FILES:${PN} += "${nonarch_base_libdir}/udev/rules.d"

RDEPENDS:${PN} = "everest-user"
