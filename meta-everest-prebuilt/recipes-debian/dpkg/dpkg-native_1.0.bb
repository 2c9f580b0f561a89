SUMMARY = "This machine's dpkg, with maintainer scripts run as OE-Core's dpkg runs them"
LICENSE = "CLOSED"

PROVIDES += "virtual/update-alternatives-native"

SRC_URI = "file://dpkg \
           file://update-alternatives"

INHIBIT_DEFAULT_DEPS = "1"

inherit_defer native

do_install() {
    install -D -m 0755 ${WORKDIR}/dpkg ${D}${bindir}/dpkg
    install -m 0755 ${WORKDIR}/update-alternatives ${D}${bindir}/update-alternatives
}
