# Requirement: NET-09
SUMMARY = "Fetches updates from a hawkBit server and hands them to RAUC"
HOMEPAGE = "https://github.com/rauc/rauc-hawkbit-updater"
LICENSE = "LGPL-2.1-only"
LIC_FILES_CHKSUM = "file://LICENSE;md5=1a6d268fd218675ffea8be556788b780"

DEPENDS = "curl glib-2.0 glib-2.0-native json-glib systemd"

# Tag 1.4. meta-rauc has 1.3, which knows tokens alone; 1.4 authenticates itself with a certificate.
SRC_URI = "git://github.com/rauc/rauc-hawkbit-updater.git;protocol=https;branch=master"
SRCREV = "2711c0e02781eb9d97285c87197f1bafef75d0d1"

S = "${WORKDIR}/git"

# Chosen by the distro everest-secure; elsewhere meta-rauc's stays what it was.
DEFAULT_PREFERENCE = "-1"

inherit meson pkgconfig systemd useradd

EXTRA_OEMESON = "-Dsystemd=enabled -Dsystemdsystemunitdir=${systemd_system_unitdir} -Ddoc=disabled -Dapidoc=disabled"

SYSTEMD_SERVICE:${PN} = "rauc-hawkbit-updater.service"

USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --home-dir / --no-create-home --shell /bin/false rauc-hawkbit"
