# Turns one list of writable state into what systemd needs to have it.
#
# Purpose: whatever a charger writes and keeps is declared in one file (FS-03, CERT-01). From it come the directories
# (tmpfiles.d), the mount of the data partition, a bind mount for each path that programs expect elsewhere, and the preset that enables these
# mounts (NET-06). The list itself is installed too, for whoever verifies the image.
#
# Usage:
#   SRC_URI = "file://state.tsv"
#   inherit everest-secure-state
#   do_install() { everest_secure_install_state }
#
# The list: columns separated by one tab, lines that begin with # are comments.
#   path      absolute path of a directory
#   user      its owner
#   group     its group
#   mode      four octal digits
#   lifetime  persistent (survives reboot and update, on the data partition, below /var) or volatile (gone at reboot, below /run)
#   bind      absolute path where it is mounted too, or -
#   reset     what everest-factory-reset(8) makes of it: erase, identity (stays unless everything is to go) or keep (stays whatever is asked).
#             What a row keeps it keeps with all that is below it.
# A package whose state is made by tmpfiles.d of its own tells everest-factory-reset alone, by a list of these columns in
# /usr/share/everest-secure/state.d/NAME.tsv.

inherit systemd

EVEREST_STATE_LIST ??= "state.tsv"
EVEREST_STATE_LIST[doc] = "File name of the list in SRC_URI."
EVEREST_DATA_OPTIONS ??= "nodev,nosuid,noexec"
EVEREST_DATA_OPTIONS[doc] = "Mount options of the data partition and of everything bound from it."

S = "${WORKDIR}"
B = "${WORKDIR}/build"

# Nothing is compiled.
INHIBIT_DEFAULT_DEPS = "1"

PACKAGE_ARCH = "${MACHINE_ARCH}"

SYSTEMD_SERVICE:${PN} = "${@' '.join(everest_secure_mounts(d))}"

def everest_secure_state(d):
    """Rows of the list as dictionaries; a wrong one stops the build with file and line."""
    import re

    columns = ("path", "user", "group", "mode", "lifetime", "bind", "reset")
    roots = {"persistent": "/var/", "volatile": "/run/"}
    path = r"/[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*"
    resets = ("erase", "identity", "keep")
    patterns = (path, r"[a-z_][a-z0-9_-]*", r"[a-z_][a-z0-9_-]*", r"[0-7]{4}", "|".join(roots), "-|" + path, "|".join(resets))

    file = bb.utils.which(d.getVar("FILESPATH"), d.getVar("EVEREST_STATE_LIST"))
    if not file:
        bb.fatal("%s is not to be found next to the recipe; add it there" % d.getVar("EVEREST_STATE_LIST"))
    bb.parse.mark_dependency(d, file)
    rows = []
    with open(file) as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = line.rstrip("\n").split("\t")
            good = len(fields) == len(columns) and all(re.fullmatch(want, have) for want, have in zip(patterns, fields))
            if not good or ".." in line or not fields[0].startswith(roots[fields[4]]):
                bb.fatal("%s:%d is no state: give %s, separated by tabs" % (file, number, ", ".join(columns)))
            row = dict(zip(columns, fields))
            above = [each for each in rows if row["path"].startswith(each["path"] + "/") and resets.index(each["reset"]) > resets.index(row["reset"])]
            if above:
                bb.fatal("%s:%d says %s, but %s above it says %s, which stays with all that is in it; say the same" % (
                    file, number, row["reset"], above[0]["path"], above[0]["reset"]))
            rows.append(row)
    return rows

def everest_secure_escape(path):
    """A path in a unit's name, as systemd-escape(1) --path."""
    def escaped(part):
        return "".join(c if c.isalnum() or c in "_." else "\\x%02x" % ord(c) for c in part)

    return "-".join(escaped(part) for part in path.strip("/").split("/"))

def everest_secure_unit(path):
    """Name of the mount unit of a path."""
    return everest_secure_escape(path) + ".mount"

def everest_secure_mounts(d):
    """Names of all mount units."""
    return ["var.mount"] + [everest_secure_unit(row["bind"]) for row in everest_secure_state(d) if row["bind"] != "-"]

python do_everest_secure_state() {
    from pathlib import Path

    build = Path(d.getVar("B"))
    options = d.getVar("EVEREST_DATA_OPTIONS")
    rows = everest_secure_state(d)

    lines = ["d %(path)s %(mode)s %(user)s %(group)s -" % row for row in rows]
    (build / "everest-state.conf").write_text("# Generated from the list of state (FS-03, CERT-01).\n" + "\n".join(lines) + "\n")

    enabled = "".join("enable %s\n" % unit for unit in everest_secure_mounts(d))
    (build / "10-everest-state.preset").write_text("# Generated from the list of state: its mounts (FS-03, NET-06).\n" + enabled)

    device = d.getVar("EVEREST_DATA_DEVICE")
    fsck = "systemd-fsck@%s.service" % everest_secure_escape(device)
    (build / "var.mount").write_text("""# FS-03: the data partition holds all state; nothing on it is executed, a device or setuid.
[Unit]
Description=Data partition
Requires=%(fsck)s
After=%(fsck)s

[Mount]
What=%(device)s
Where=/var
Type=ext4
Options=%(options)s

[Install]
RequiredBy=local-fs.target
""" % {"fsck": fsck, "device": device, "options": options})

    for row in rows:
        if row["bind"] != "-":
            (build / everest_secure_unit(row["bind"])).write_text("""# FS-03: %(bind)s is state and lies on the data partition.
[Unit]
Description=State of %(bind)s
DefaultDependencies=no
RequiresMountsFor=/var
After=systemd-tmpfiles-setup.service
Requires=systemd-tmpfiles-setup.service
Before=umount.target
Conflicts=umount.target

[Mount]
What=%(path)s
Where=%(bind)s
Type=none
Options=bind,%(options)s

[Install]
WantedBy=multi-user.target
""" % {**row, "options": options})
}
do_everest_secure_state[doc] = "Generates tmpfiles.d and mount units from EVEREST_STATE_LIST"
do_everest_secure_state[cleandirs] = "${B}"
do_everest_secure_state[vardeps] += "EVEREST_STATE_LIST EVEREST_DATA_DEVICE EVEREST_DATA_OPTIONS"
addtask everest_secure_state after do_patch before do_configure

everest_secure_install_state() {
    install -D -m 0644 ${WORKDIR}/${EVEREST_STATE_LIST} ${D}${datadir}/everest-secure/state.tsv
    install -D -m 0644 ${B}/everest-state.conf ${D}${nonarch_libdir}/tmpfiles.d/everest-state.conf
    install -D -m 0644 ${B}/10-everest-state.preset ${D}${systemd_unitdir}/system-preset/10-everest-state.preset
    install -d ${D}${systemd_system_unitdir}
    install -m 0644 ${B}/*.mount ${D}${systemd_system_unitdir}
    for directory in ${@' '.join(row['bind'] for row in everest_secure_state(d) if row['bind'] != '-')}; do
        install -d ${D}$directory
    done
}

everest_secure_install_state[doc] = "Installs the list and what was generated from it"

FILES:${PN} += "${datadir}/everest-secure ${nonarch_libdir}/tmpfiles.d ${systemd_unitdir}/system-preset"
