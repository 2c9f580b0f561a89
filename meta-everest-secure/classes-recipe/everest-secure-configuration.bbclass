# Reads which modules the shipped EVerest configuration starts, and with which capabilities.
#
# Purpose: one file decides what is built (BIN-02), what the service may do (ACC-04, ACC-05) and what is installed (ACC-03). Nothing of
# it is listed a second time.
#
# Usage:
#   inherit everest-secure-configuration
#   everest_secure_modules(d)              types of all modules
#   everest_secure_module_capabilities(d)  all that they list
# A variable made of these needs [vardepvalue]: a task that uses it runs again when the file changes, and not only when its name does.
#
# EVEREST_CONFIG is read line by line, as no host that runs BitBake must have a YAML library. What is not written in the plain block style of
# EVerest's own configurations stops the build, so that nothing can be there which this reader overlooks: two spaces per level, `NAME:` for a
# module, `module:` and `capabilities:` below it, no anchors, no merging.

def everest_secure_configuration_files(d):
    """Absolute paths of the configuration's parts; one that no layer has stops the build."""
    paths = []
    for name in d.getVar("EVEREST_CONFIG").split():
        found = bb.utils.which(d.getVar("BBPATH"), name)
        if not found:
            bb.fatal("EVEREST_CONFIG names '%s', which no layer has; EVEREST_OCPP_VERSION is 1.6, 2.0.1 or multi, EVEREST_ISO15118 is 2 or 2+20, "
                     "and a file of your own is named by its path below your layer" % name)
        bb.parse.mark_dependency(d, found)
        paths.append(found)
    return paths

def everest_secure_active_modules(d):
    """Each module of `active_modules` as (type, capabilities), by its name."""
    import re

    comment = r"(?:\s+#.*)?"
    top = re.compile(r"([A-Za-z_-]+):.*|---|#.*")
    name = re.compile(r"  ([A-Za-z0-9_]+):" + comment)
    kind = re.compile(r"    module: (\w+)" + comment)
    held = re.compile(r"    capabilities:(?: \[([\w, ]*)\])?" + comment)
    item = re.compile(r"    (?:  )?- (\w+)" + comment)
    other = re.compile(r"    [A-Za-z0-9_]+:(?: [^&*|>].*)?|     +\S.*")

    found, inside = {}, False
    for path in everest_secure_configuration_files(d):
        with open(path) as stream:
            lines = stream.read().split("\n")
        module, listing = None, False
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.lstrip(" ").startswith("#"):
                continue

            def refuse(what):
                bb.fatal("%s:%d %s; write the configuration as EVerest's own are written, in YAML's block style with two spaces per level"
                         % (path, number, what))

            if not line.startswith(" "):
                if not top.fullmatch(line) or (line.startswith("active_modules:") and not re.fullmatch("active_modules:" + comment, line)):
                    refuse("is no key of the configuration that can be read")
                inside, module, listing = line.startswith("active_modules:"), None, False
            elif not inside:
                continue
            elif match := name.fullmatch(line):
                module, listing = match[1], False
                if module in found:
                    refuse("names the module '%s' again" % module)
                found[module] = [None, None]
            elif module is None:
                refuse("belongs to no module")
            elif match := kind.fullmatch(line):
                if found[module][0]:
                    refuse("gives '%s' a second type" % module)
                found[module][0], listing = match[1], False
            elif match := held.fullmatch(line):
                if found[module][1] is not None:
                    refuse("gives '%s' a second list of capabilities" % module)
                found[module][1], listing = (match[1] or "").replace(",", " ").split(), match[1] is None
            elif listing and (match := item.fullmatch(line)):
                found[module][1].append(match[1])
            elif other.fullmatch(line) and not line.startswith(("    module:", "    capabilities:")) and not (listing and line.startswith("     ")):
                listing = False
            else:
                refuse("cannot be read")
    for module, (type_name, _) in found.items():
        if not type_name:
            bb.fatal("EVEREST_CONFIG gives the module '%s' no type; add a line 'module: TYPE' below it" % module)
    if not found:
        bb.fatal("EVEREST_CONFIG '%s' starts no module; list them below 'active_modules:'" % d.getVar("EVEREST_CONFIG"))
    return {module: (name, tuple(each.upper() for each in held or ())) for module, (name, held) in found.items()}

def everest_secure_modules(d):
    """Types of all modules, in the order of the alphabet."""
    return sorted({name for name, _ in everest_secure_active_modules(d).values()})

def everest_secure_module_capabilities(d):
    """Capabilities that modules list, in the order of the alphabet."""
    return sorted({capability for _, capabilities in everest_secure_active_modules(d).values() for capability in capabilities})
