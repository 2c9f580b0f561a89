# Makes EVerest's configuration and that of OCPP from the knobs. For everest-config alone.
#
# Purpose: config.yaml from the parts that EVEREST_CONFIG names (ACC-03, ACC-04), and what OCPP is told (OCPP-01, OCPP-02, TPM-04, CERT-07,
# LOG-01): a JSON file for OCPP 1.6, or EVerest's own components with our values for OCPP 2.0.1 and OCPPmulti. The components come from the
# checkout that is built, so that none of EVerest's is copied here and none that it does not know is set.
#
# Usage:
#   SRC_URI = "file://ocpp-1.6.json file://device-model.json file://device-model-2.0.1.json file://everest-logs.conf"
#   inherit everest-secure-ocpp
#   do_install() { everest_secure_install_configuration }
#
# device-model*.json: component -> variable -> what is changed of it: `value` (null for none; EVerest's own default goes in any case),
# `mutability`, `values` (the list of allowed ones). A component or variable that the release does not have stops the build.

inherit everest-secure-configuration everest-secure-template

EVEREST_TEMPLATES = "config.yaml everest-logs.conf ${@'ocpp-1.6.json' if d.getVar('EVEREST_OCPP_VERSION') == '1.6' else '${EVEREST_DEVICE_MODEL}'}"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_CERT_CHAIN_SIZE EVEREST_CERT_STORE_LENGTH EVEREST_CHARGE_POINT_ID EVEREST_CHARGE_POINT_MODEL \
    EVEREST_CHARGE_POINT_VENDOR EVEREST_COUNTRY EVEREST_CSMS_URL EVEREST_IMAGE_VERSION EVEREST_OCPP_CIPHERS EVEREST_OCPP_CIPHERS_JSON \
    EVEREST_OCPP_CIPHERSUITES EVEREST_OCPP_CIPHERSUITES_JSON EVEREST_OCPP_LOG_BYTES EVEREST_OCPP_LOG_COUNT EVEREST_ORGANIZATION \
    EVEREST_PLC_INTERFACE EVEREST_SESSION_LOG_DAYS EVEREST_V2G_TLS"

EVEREST_DEVICE_MODEL ??= "device-model.json device-model-${EVEREST_OCPP_VERSION}.json"
EVEREST_DEVICE_MODEL[doc] = "Files of SRC_URI with the values that are changed in EVerest's OCPP components, the later over the earlier."
# What counts is what the directory holds (file-checksums), not where it lies on this machine.
EVEREST_OCPP_COMPONENTS[vardepvalue] = ""
EVEREST_OCPP_CIPHERS = "${@':'.join(d.getVar('EVEREST_CSMS_CIPHERS').split())}"
EVEREST_OCPP_CIPHERS[doc] = "EVEREST_CSMS_CIPHERS as OCPP 2.0.1 takes them."
EVEREST_OCPP_CIPHERS_JSON = "${@everest_secure_json_list('EVEREST_CSMS_CIPHERS', d)}"
EVEREST_OCPP_CIPHERS_JSON[doc] = "EVEREST_CSMS_CIPHERS as OCPP 1.6 takes them."
EVEREST_OCPP_CIPHERSUITES = "${@':'.join(d.getVar('EVEREST_CSMS_CIPHERSUITES').split())}"
EVEREST_OCPP_CIPHERSUITES[doc] = "EVEREST_CSMS_CIPHERSUITES as OCPP 2.0.1 takes them."
EVEREST_OCPP_CIPHERSUITES_JSON = "${@everest_secure_json_list('EVEREST_CSMS_CIPHERSUITES', d)}"
EVEREST_OCPP_CIPHERSUITES_JSON[doc] = "EVEREST_CSMS_CIPHERSUITES as OCPP 1.6 takes them."

def everest_secure_json_list(name, d):
    import json

    return json.dumps(d.getVar(name).split())

python do_everest_secure_configuration() {
    import re
    from pathlib import Path

    forms = {
        "EVEREST_CSMS_URL": (r'wss://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^\s"\\]*)?', "OCPP-01", "a wss:// URL"),
        "EVEREST_CHARGE_POINT_ID": ("[A-Za-z0-9_-]{1,25}", "OCPP-01", "1 to 25 letters, digits, _ and -"),
        "EVEREST_CHARGE_POINT_VENDOR": (r'[^\n"\\]{1,20}', "OCPP-01", "1 to 20 characters without quotes"),
        "EVEREST_CHARGE_POINT_MODEL": (r'[^\n"\\]{1,20}', "OCPP-01", "1 to 20 characters without quotes"),
        "EVEREST_ORGANIZATION": (r'[^\n"\\]{1,64}', "CERT-07", "1 to 64 characters without quotes"),
        "EVEREST_COUNTRY": ("[A-Z]{2}", "CERT-07", "two capital letters"),
        "EVEREST_CSMS_CIPHERS": (r"( *ECDHE-(ECDSA|RSA)-(AES(128|256)-GCM-SHA(256|384)|CHACHA20-POLY1305) *)+", "OCPP-01",
                                 "a list of ECDHE suites with AES-GCM or ChaCha20"),
        "EVEREST_CSMS_CIPHERSUITES": (r"( *TLS_(AES_128_GCM_SHA256|AES_256_GCM_SHA384|CHACHA20_POLY1305_SHA256) *)+", "OCPP-01",
                                      "a list of TLS 1.3 suites"),
        "EVEREST_CERT_CHAIN_SIZE": ("[1-9][0-9]{3}|10000", "OCPP-02", "a number of characters from 1000 to 10000"),
        "EVEREST_CERT_STORE_LENGTH": ("[1-9][0-9]{0,3}", "OCPP-02", "a number of entries from 1 to 9999"),
        "EVEREST_OCPP_LOG_BYTES": ("[1-9][0-9]{3,8}", "LOG-01", "a number of bytes from 1000 on; 0 would keep all in one file for ever"),
        "EVEREST_OCPP_LOG_COUNT": ("[1-9]|1[01]", "LOG-01", "a number from 1 to 11; of more EVerest loses newer ones, and 0 would keep all for ever"),
        "EVEREST_SESSION_LOG_DAYS": ("[1-9][0-9]{0,3}", "LOG-01", "a number of days"),
        "EVEREST_V2G_TLS": ("allow|force", "TLS-01", "allow or force"),
    }
    for name, (form, requirement, what) in forms.items():
        if not re.fullmatch(form, d.getVar(name) or ""):
            bb.fatal("%s: %s is '%s'; set it to %s" % (requirement, name, d.getVar(name), what))
    others = ("EVEREST_CHARGE_POINT_VENDOR", "EVEREST_CHARGE_POINT_MODEL", "EVEREST_ORGANIZATION")
    if d.getVar("EVEREST_CHARGE_POINT_ID") in [d.getVar(name) for name in others]:
        bb.fatal("OCPP-01: EVEREST_CHARGE_POINT_ID says what another knob says too; choose a word that a charger's own identity can take the place of")

    everest_secure_active_modules(d)
    parts = [Path(path).read_text().rstrip("\n") + "\n" for path in everest_secure_configuration_files(d)]
    (Path(d.getVar("WORKDIR")) / "config.yaml").write_text("\n".join(parts))
}
do_everest_secure_configuration[doc] = "Puts config.yaml together from EVEREST_CONFIG and looks at the knobs"
do_everest_secure_configuration[vardeps] += "EVEREST_CONFIG ${EVEREST_TEMPLATE_VARIABLES}"
do_everest_secure_configuration[file-checksums] += "${@' '.join(path + ':True' for path in everest_secure_configuration_files(d))}"
addtask everest_secure_configuration after do_unpack do_patch before do_everest_secure_fill_in

def everest_secure_ocpp_components(d):
    """Directory with EVerest's OCPP components, or an empty string."""
    import os

    return next((path for path in d.getVar("EVEREST_OCPP_COMPONENTS").split() if os.path.isdir(path)), "")

python do_everest_secure_device_model() {
    import json
    from pathlib import Path

    if d.getVar("EVEREST_OCPP_VERSION") == "1.6":
        return
    source = everest_secure_ocpp_components(d)
    if not source:
        bb.fatal("OCPP-01: EVEREST_OCPP_COMPONENTS '%s' names no directory; add EVerest's layer, or name the one with its OCPP components"
                 % d.getVar("EVEREST_OCPP_COMPONENTS"))
    components = {path.stem: json.loads(path.read_text()) for path in sorted(Path(source).glob("*.json"))}
    for name in d.getVar("EVEREST_DEVICE_MODEL").split():
        for component, variables in json.loads((Path(d.getVar("B")) / name).read_text()).items():
            if component not in components:
                bb.fatal("OCPP-01: %s sets the component %s, which EVerest does not have in %s; EVEREST_OCPP_VERSION '%s' and this release \
of EVerest do not fit, choose another" % (name, component, source, d.getVar("EVEREST_OCPP_VERSION")))
            for variable, change in variables.items():
                everest_secure_change(components[component], variable, change, "%s: %s.%s" % (name, component, variable))
    target = Path(d.getVar("B")) / "component_config/standardized"
    target.mkdir(parents=True)
    for component, content in components.items():
        (target / (component + ".json")).write_text(json.dumps(content, indent=2) + "\n")
}
do_everest_secure_device_model[doc] = "Writes EVerest's OCPP components with the values of EVEREST_DEVICE_MODEL"
do_everest_secure_device_model[vardeps] += "EVEREST_DEVICE_MODEL EVEREST_OCPP_COMPONENTS"
do_everest_secure_device_model[file-checksums] += "${@everest_secure_ocpp_components(d) and everest_secure_ocpp_components(d) + ':True'}"
addtask everest_secure_device_model after do_everest_secure_fill_in before do_configure

def everest_secure_change(component, variable, change, where):
    """Set value, mutability and allowed values of one variable of a component (libocpp's component_config)."""
    import json

    found = [each for each in component["properties"].values() if each["variable_name"] == variable and "instance" not in each]
    actual = [each for entry in found for each in entry["attributes"] if each.get("type", "Actual") == "Actual"]
    if len(found) != 1 or len(actual) != 1:
        bb.fatal("OCPP-01: %s does not exist in this release of EVerest; see what took its place and mend the file" % where)
    value = change["value"]
    # Nothing falls back to a value of EVerest's examples.
    found[0].pop("default", None)
    actual[0].pop("value", None)
    if value is not None:
        actual[0]["value"] = json.dumps(value) if isinstance(value, (dict, list)) else value
    if "mutability" in change:
        actual[0]["mutability"] = change["mutability"]
    if "values" in change:
        found[0]["characteristics"]["valuesList"] = change["values"]

everest_secure_install_configuration() {
    install -D -m 0644 ${B}/config.yaml ${D}${sysconfdir}/everest/config.yaml
    install -D -m 0644 ${B}/everest-logs.conf ${D}${nonarch_libdir}/tmpfiles.d/everest-logs.conf
    install -d ${D}${sysconfdir}/everest/ocpp
    if [ "${EVEREST_OCPP_VERSION}" = 1.6 ]; then
        install -m 0644 ${B}/ocpp-1.6.json ${D}${sysconfdir}/everest/ocpp/config.json
    else
        install -d ${D}${sysconfdir}/everest/ocpp/component_config/standardized
        install -m 0644 ${B}/component_config/standardized/*.json ${D}${sysconfdir}/everest/ocpp/component_config/standardized
    fi
}
everest_secure_install_configuration[doc] = "Installs EVerest's configuration, that of OCPP, and how long logs are kept"

FILES:${PN} += "${nonarch_libdir}/tmpfiles.d"
