# Decides what everest.service may do, from the configuration and the knobs.
#
# Purpose: the lines of its drop-in that are lists (ACC-04, ACC-05). For everest-service-hardening alone.
#
# Usage: inherit everest-secure-service; name @EVEREST_SERVICE_CAPABILITIES@ and @EVEREST_SERVICE_DEVICES@ in the drop-in.

inherit everest-secure-configuration everest-secure-template

EVEREST_TEMPLATES = "50-everest-secure.conf"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_SERVICE_CAPABILITIES EVEREST_SERVICE_DEVICES EVEREST_ADDRESS_FAMILIES"

EVEREST_SERVICE_CAPABILITIES = "${@everest_secure_capabilities(d)}"
EVEREST_SERVICE_CAPABILITIES[vardepvalue] = "${EVEREST_SERVICE_CAPABILITIES}"
EVEREST_SERVICE_CAPABILITIES[doc] = "The bounding set: setgroups, setgid and setuid; securebits when a module keeps capabilities; those of the modules."
EVEREST_SERVICE_DEVICES = "${@everest_secure_devices(d)}"
EVEREST_SERVICE_DEVICES[doc] = "One DeviceAllow= line for each of EVEREST_DEVICES."

def everest_secure_capabilities(d):
    modules = everest_secure_module_capabilities(d)
    extra = d.getVar("EVEREST_EXTRA_CAPABILITIES").split()
    return " ".join(dict.fromkeys(["CAP_SETUID", "CAP_SETGID"] + (["CAP_SETPCAP"] if modules else []) + modules + extra))

def everest_secure_devices(d):
    return "\n".join("DeviceAllow=%s rw" % device for device in d.getVar("EVEREST_DEVICES").split())
