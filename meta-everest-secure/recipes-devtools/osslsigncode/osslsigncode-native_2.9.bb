# Requirement: BOOT-01
SUMMARY = "Signs EFI programs with a key in a file or a token"
HOMEPAGE = "https://github.com/mtrojnar/osslsigncode"
LICENSE = "GPL-3.0-or-later"
LIC_FILES_CHKSUM = "file://LICENSE.txt;md5=70335207a9028bcc9b9a5547382569a8"

DEPENDS = "openssl-native zlib-native"

SRC_URI = "git://github.com/mtrojnar/osslsigncode.git;protocol=https;branch=master"
# Tag 2.9, the version of Debian 13. OE-Core and meta-oe have no program that signs for UEFI.
SRCREV = "76ee550c9d3b9f0e559f044e18136b74c167fef2"

S = "${WORKDIR}/git"

inherit cmake
inherit_defer native
