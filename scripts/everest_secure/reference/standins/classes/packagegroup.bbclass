# Stand-in for OE-Core's packagegroup.bbclass.
PACKAGES = "${PN}"
PACKAGE_ARCH ?= "all"
ALLOW_EMPTY:${PN} = "1"
