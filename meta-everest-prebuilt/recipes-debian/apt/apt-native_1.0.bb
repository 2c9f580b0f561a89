SUMMARY = "This machine's apt, set up to install packages into an image"
LICENSE = "CLOSED"

# apt-ftparchive
DEPENDS += "debian-tools-native dpkg-native"

SRC_URI = "file://apt.conf.sample"

INHIBIT_DEFAULT_DEPS = "1"

inherit_defer native

do_install() {
    install -D -m 0644 ${WORKDIR}/apt.conf.sample ${D}${sysconfdir}/apt/apt.conf.sample
}
