# Requirements: FS-03, CERT-01, LOG-01, LOG-02
SUMMARY = "Everything a charger writes and keeps: the data partition and its directories"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://state.tsv"

inherit everest-secure-state

do_install() {
    everest_secure_install_state
}

RDEPENDS:${PN} = "everest-user"
