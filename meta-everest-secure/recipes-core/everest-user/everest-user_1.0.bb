# Requirement: ACC-02
SUMMARY = "Service user that EVerest's modules run as"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

inherit useradd

INHIBIT_DEFAULT_DEPS = "1"

# Groups of other packages are declared too: groupadd must find them whatever is installed first, and keeps those that exist.
USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "-g 1500 everest; -g 1501 gpio; -r systemd-journal; -r tss; -r mosquitto"
USERADD_PARAM:${PN} = "-r -u 1500 -g everest -G systemd-journal,dialout,tty,gpio,tss,mosquitto -d /home/everest -s /bin/false everest"

ALLOW_EMPTY:${PN} = "1"
