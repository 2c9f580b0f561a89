# Leaves enabled in an image what its presets enable, and nothing else.
#
# Purpose: a package enables its units when it is installed, and OE-Core's preset-all only ever adds (NET-06). Here links in
# /etc/systemd/system that enable a unit (in *.wants, *.requires, *.upholds, and aliases) are removed unless a preset of the image enables that
# unit. Masks, unit files, default.target and the links that packages keep below /usr are left alone.
#
# Usage: inherit everest-secure-units (everest-secure-image does). Presets come from packages; everest-unit-policy brings the list that ends
# with `disable *`.
#
# A preset or an entry whose meaning is not certain stops the build.

# Twice: systemd_preset_all, which OE-Core runs last, follows Also= to units that no preset names. Times are set once more after it.
ROOTFS_POSTPROCESS_COMMAND += "everest_secure_disable_units"
IMAGE_PREPROCESS_COMMAND:append = " everest_secure_disable_units reproducible_final_image_task"

def everest_secure_presets(root):
    """Rules of all presets as (verb, pattern), first match counts; files of one name in /etc hide those in /usr (systemd.preset(5))."""
    from pathlib import Path

    files = {}
    for directory in ("usr/lib/systemd/system-preset", "etc/systemd/system-preset"):
        files.update({file.name: file for file in (Path(root) / directory).glob("*.preset")})
    rules = []
    for file in (files[name] for name in sorted(files)):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            words = line.split()
            if not words or words[0].startswith(("#", ";")):
                continue
            if len(words) != 2 or words[0] not in ("enable", "disable"):
                bb.fatal("%s:%d is no rule that can be decided for an image; write 'enable UNIT' or 'disable UNIT'" % (file, number))
            rules.append(words)
    return rules

def everest_secure_enabled(unit, rules):
    """Whether presets enable a unit; one that no rule names is enabled, and an instance goes by its own name or its template's."""
    from fnmatch import fnmatchcase

    stem, dot, kind = unit.rpartition(".")
    before, at, _ = stem.partition("@")
    names = (unit, before + at + dot + kind)
    return next((verb == "enable" for verb, pattern in rules if any(fnmatchcase(name, pattern) for name in names)), True)

def everest_secure_links(root):
    """Links of an image that enable units, each with the unit that it enables."""
    import os
    from pathlib import Path

    units = Path(root) / "etc/systemd/system"
    for entry in sorted(units.iterdir()) if units.is_dir() else []:
        if entry.suffix in (".wants", ".requires", ".upholds") and entry.is_dir() and not entry.is_symlink():
            for link in sorted(entry.iterdir()):
                if not link.is_symlink():
                    bb.fatal("%s enables a unit but is no link; remove it or make it one" % link)
                yield link, link.name
        elif entry.is_symlink() and entry.name != "default.target":
            target = os.readlink(entry)
            if target != "/dev/null" and os.path.basename(target) != entry.name:
                yield entry, os.path.basename(target)

python everest_secure_disable_units() {
    root = d.getVar("IMAGE_ROOTFS")
    rules = everest_secure_presets(root)
    if ["disable", "*"] not in rules:
        bb.fatal("NET-06: no preset of the image says 'disable *'; install everest-unit-policy")
    for link, unit in everest_secure_links(root):
        if not everest_secure_enabled(unit, rules):
            bb.note("NET-06: %s is not enabled by a preset, %s removed" % (unit, link.name))
            link.unlink()
}
everest_secure_disable_units[doc] = "Removes the links that enable what no preset enables"
