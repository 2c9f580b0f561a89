SUMMARY = "pseudo of this machine, where BitBake looks for it"
LICENSE = "CLOSED"

PROVIDES += "virtual/fakeroot-native"
INHIBIT_DEFAULT_DEPS = "1"

inherit_defer native

# BitBake runs it around every task that makes owners: it must be this machine's own, as tasks are this machine's programs.
# nooelint: oelint.vars.pathhardcode.bindir,oelint.vars.pathhardcode.libdir - this machine's, not the target's
do_install() {
    library=$(ls /usr/lib/*/pseudo/libpseudo.so 2>/dev/null | head -n 1)
    if [ ! -x /usr/bin/pseudo ] || [ -z "$library" ]; then
        bbfatal "pseudo is not installed; install the Debian package pseudo"
    fi
    install -D -m 0755 /usr/bin/pseudo ${D}${bindir}/pseudo
    install -m 0755 /usr/bin/pseudodb /usr/bin/pseudolog ${D}${bindir}
    for directory in lib lib64; do
        install -D -m 0755 "$library" ${D}${prefix}/lib/pseudo/$directory/libpseudo.so
    done
}
