# Stand-in for OE-Core's systemd.bbclass: SYSTEMD_SERVICE of SYSTEMD_PACKAGES and its unit files belong to the package.
SYSTEMD_PACKAGES ?= "${PN}"
SYSTEMD_AUTO_ENABLE ??= "enable"

python () {
    for package in (d.getVar("SYSTEMD_PACKAGES") or "").split():
        for unit in (d.getVar("SYSTEMD_SERVICE:" + package) or "").split():
            d.appendVar("FILES:" + package, " " + d.getVar("systemd_system_unitdir") + "/" + unit)
}
