# Stand-in for OE-Core's features_check.bbclass: skip a recipe whose required features are missing or whose conflicting ones are set.
python () {
    for kind in ("DISTRO", "MACHINE", "COMBINED", "IMAGE"):
        features = set((d.getVar(kind + "_FEATURES") or "").split())
        missing = set((d.getVar("REQUIRED_" + kind + "_FEATURES") or "").split()) - features
        if missing:
            raise bb.parse.SkipRecipe("%s_FEATURES lacks '%s'" % (kind, " ".join(sorted(missing))))
        conflicts = set((d.getVar("CONFLICT_" + kind + "_FEATURES") or "").split()) & features
        if conflicts:
            raise bb.parse.SkipRecipe("%s_FEATURES must not have '%s'" % (kind, " ".join(sorted(conflicts))))
}
