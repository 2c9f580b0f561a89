SUMMARY = "This machine's dpkg, with maintainer scripts run as OE-Core's dpkg runs them"
LICENSE = "CLOSED"

SRC_URI = "file://dpkg \
           file://update-alternatives"

inherit native

PROVIDES += "virtual/update-alternatives-native"
INHIBIT_DEFAULT_DEPS = "1"

do_install() {
    install -D -m 0755 ${WORKDIR}/dpkg ${D}${bindir}/dpkg
    install -m 0755 ${WORKDIR}/update-alternatives ${D}${bindir}/update-alternatives
}
