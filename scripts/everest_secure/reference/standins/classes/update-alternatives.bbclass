# Stand-in for OE-Core's update-alternatives.bbclass: no other package offers the name, and the link belongs to the package that offers it.
python everest_standin_alternatives() {
    from pathlib import Path

    for package in (d.getVar("PACKAGES") or "").split():
        for name in (d.getVar("ALTERNATIVE:" + package) or "").split():
            link = Path(d.getVar("D") + d.getVarFlag("ALTERNATIVE_LINK_NAME", name))
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(d.getVarFlag("ALTERNATIVE_TARGET", name))
}

do_install[postfuncs] += "everest_standin_alternatives"
