# Requirement: NET-08
SUMMARY = "USB devices that the maker lists, and never storage, keyboard or gadget"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://60-everest-usb.rules \
           file://everest-usb.conf"

inherit everest-secure-usb

do_install() {
    install -D -m 0644 ${B}/60-everest-usb.rules ${D}${nonarch_base_libdir}/udev/rules.d/60-everest-usb.rules
    install -D -m 0644 ${WORKDIR}/everest-usb.conf ${D}${nonarch_base_libdir}/modprobe.d/everest-usb.conf
}

FILES:${PN} += "${nonarch_base_libdir}/udev/rules.d ${nonarch_base_libdir}/modprobe.d"
