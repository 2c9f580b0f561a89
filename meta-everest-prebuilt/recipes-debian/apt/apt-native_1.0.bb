SUMMARY = "This machine's apt, set up to install packages into an image"
LICENSE = "CLOSED"

SRC_URI = "file://apt.conf.sample"

inherit native

# apt-ftparchive
DEPENDS = "debian-tools-native dpkg-native"
INHIBIT_DEFAULT_DEPS = "1"

do_install() {
    install -D -m 0644 ${WORKDIR}/apt.conf.sample ${D}${sysconfdir}/apt/apt.conf.sample
}
