SUMMARY = "systemd's EFI programs of Debian 13: the stub that starts a unified kernel image"
LICENSE = "CLOSED"

inherit deploy nopackages

INHIBIT_DEFAULT_DEPS = "1"
DEPENDS += "debian-tools-native"

do_deploy() {
    for stub in ${STAGING_DATADIR_NATIVE}/debian-tools/usr/lib/systemd/boot/efi/linux*.efi.stub; do
        install -D -m 0644 $stub ${DEPLOYDIR}/$(basename $stub)
    done
}
addtask deploy after do_prepare_recipe_sysroot before do_build
