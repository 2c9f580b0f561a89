"""Files of the layer as a build with ordinary settings installs them."""

import re
from functools import cache

from everest_secure.paths import data

KNOBS = {
    "EVEREST_USB_RULES": "# no device is accepted",
    "EVEREST_FAILED_BOOT_SECONDS": "30",
    "EVEREST_WATCHDOG_SECONDS": "30",
    "EVEREST_REBOOT_WATCHDOG_SECONDS": "120",
    "EVEREST_PLC_INTERFACE": "eth1",
    "EVEREST_PLC_TCP_RULE": 'iifname "eth1" tcp dport { 50000, 61341, 64109 } accept',
    "EVEREST_MANAGEMENT_TCP_RULE": "# no TCP port is open",
    "EVEREST_MANAGEMENT_IPV6_RULES": "# no IPv6",
    "EVEREST_MANAGEMENT_INTERFACE": "eth0",
    "EVEREST_MANAGEMENT_DHCP": "ipv4",
    "EVEREST_MANAGEMENT_LINK_LOCAL": "no",
    "EVEREST_MANAGEMENT_ROUTER": "no",
    "EVEREST_MQTT_API_PORT": "8883",
    "EVEREST_MQTT_API_MINUTES": "30",
    "EVEREST_MQTT_API_BRIDGE": "topic everest_api/1/evse_manager_consumer/+/e2m/# in 1\ntopic everest_api/1/x/+/m2e/# out 1",
    "EVEREST_MQTT_API_ACL": "pattern read everest_api/1/evse_manager_consumer/+/e2m/#\nuser operator\ntopic write everest_api/1/x/+/m2e/#",
    "EVEREST_HAWKBIT_SERVER": "updates.example.com",
    "EVEREST_HAWKBIT_TENANT": "DEFAULT",
    "EVEREST_HAWKBIT_RESTART_WORD": "false",
    "EVEREST_HAWKBIT_CAPABILITIES": "",
    "EVEREST_HAWKBIT_SYSTEM_CALLS": "@system-service",
    "EVEREST_HEALTH_CHECKS": "data broker service tpm clock",
    "EVEREST_UPDATE_TRIAL": "10min",
    "EVEREST_JOURNAL_MAX": "64",
    "EVEREST_MQTT_API_SET": "# no MQTT API",
    "EVEREST_MQTT_API_RULE": "# no MQTT API",
    "EVEREST_COMPATIBLE": "everest-secure-qemux86-64",
    "EVEREST_RAUC_BOOTLOADER": "efi",
    "EVEREST_BUNDLE_FORMATS": "verity",
    "EVEREST_MIN_BUNDLE_VERSION": "1.0.0",
    "EVEREST_LATE_FALLBACK": "",
    "EVEREST_CHECK_CRL_WORD": "false",
    "EVEREST_PRODUCT_HANDLERS": "",
    "EVEREST_SERVICE_CAPABILITIES": "CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_NET_RAW",
    "EVEREST_V2G_TLS": "allow",
    "EVEREST_SERVICE_DEVICES": "DeviceAllow=/dev/tpmrm0 rw\nDeviceAllow=char-ttyS rw",
    "EVEREST_DATA_PARTITION_TYPE": "bce2dee9-06eb-46e4-a88d-db0a88b38bf1",
    "EVEREST_DATA_ENCRYPT": "off",
    "EVEREST_DATA_MIN_SIZE": "512",
    "EVEREST_CSMS_URL": "wss://csms.example.com/ocpp",
    "EVEREST_CHARGE_POINT_ID": "unprovisioned",
    "EVEREST_CHARGE_POINT_VENDOR": "Acme",
    "EVEREST_CHARGE_POINT_MODEL": "AC22",
    "EVEREST_ORGANIZATION": "Acme Charging",
    "EVEREST_COUNTRY": "DE",
    "EVEREST_IMAGE_VERSION": "1.0.0",
    "EVEREST_OCPP_CIPHERS": "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384",
    "EVEREST_OCPP_CIPHERS_JSON": '["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"]',
    "EVEREST_OCPP_CIPHERSUITES": "TLS_AES_256_GCM_SHA384",
    "EVEREST_OCPP_CIPHERSUITES_JSON": '["TLS_AES_256_GCM_SHA384"]',
    "EVEREST_CERT_CHAIN_SIZE": "10000",
    "EVEREST_CERT_STORE_LENGTH": "100",
    "EVEREST_CERT_STORE_MIB": "50",
    "EVEREST_CERT_STORE_ENTRIES": "2000",
    "EVEREST_SECURITY_EXPIRY_DAYS": "30",
    "EVEREST_PRODUCTION": "1",
    "EVEREST_OCPP_LOG_BYTES": "5000000",
    "EVEREST_OCPP_LOG_COUNT": "10",
    "EVEREST_SESSION_LOG_DAYS": "30",
    "EVEREST_ADDRESS_FAMILIES": "AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET",
}
"""What stands in the place of `@EVEREST_...@` in the layer's files."""


def layer(path: str) -> str:
    """Return a file of the layer with its knobs filled in."""
    text = (data("meta-everest-secure") / path).read_text()
    return re.sub(r"@(EVEREST_[A-Z0-9_]+)@", lambda found: KNOBS[found[1]], text)


EVEREST_CONFIG = "recipes-core/everest-config/files"


@cache
def everest_configuration(iso15118: str = "2", ocpp: str = "2.0.1") -> str:
    """Return EVerest's configuration as its recipe puts it together, by default as by its knobs' defaults."""
    return "".join(layer(f"{EVEREST_CONFIG}/{name}.yaml") for name in ("config", f"iso15118-{iso15118}", f"ocpp-{ocpp}"))
