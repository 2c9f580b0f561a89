# Stand-in for OE-Core's packagegroup.bbclass.
PACKAGES = "${PN}"
ALLOW_EMPTY:${PN} = "1"
