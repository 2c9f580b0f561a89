SUMMARY = "Names under which recipes know what comes from Debian"
DESCRIPTION = "An empty package: what it names is in the tree of Debian packages already, see debian-packages.inc."
LICENSE = "CLOSED"

require recipes-debian/debian-trees/debian-packages.inc

INHIBIT_DEFAULT_DEPS = "1"

# What recipes of this project, the class useradd and images depend on at build time, of which nothing is compiled here.
PROVIDES += "base-files base-passwd shadow syslinux systemd virtual/libc virtual/update-alternatives"

ALLOW_EMPTY:${PN} = "1"
RPROVIDES:${PN} += "${DEBIAN_NAMES}"
