"""What a product may add to the good root."""

from support.rootfs.good import LOCAL, UNITS
from support.rootfs.layer_files import layer
from support.rootfs.tree import RootFs


def mqtt_api(fs: RootFs) -> RootFs:
    """Install the MQTT API as its recipe does."""
    files = "recipes-connectivity/everest-mqtt-api/files"
    fs.file("/etc/mosquitto/everest-mqtt-api.conf", layer(f"{files}/everest-mqtt-api.conf"))
    fs.file("/etc/mosquitto/everest-mqtt-api.acl", layer(f"{files}/everest-mqtt-api.acl"), mode=0o600)
    for name in ("", "-back", "-front", "-off"):
        fs.file(f"{UNITS}/everest-mqtt-api{name}.service", layer(f"{files}/everest-mqtt-api{name}.service"))
    for name in ("back.socket", "front.socket", "off.timer"):
        fs.file(f"{UNITS}/everest-mqtt-api-{name}", layer(f"{files}/everest-mqtt-api-{name}"))
    return fs


def hawkbit(fs: RootFs) -> RootFs:
    """Install the hawkBit updater as its recipes do."""
    files = "recipes-connectivity/everest-hawkbit/files"
    fs.file("/etc/rauc-hawkbit-updater/config.conf", layer(f"{files}/config.conf"))
    for place in ("rauc-hawkbit-updater/authorities", "ssl/certs"):
        fs.file(f"/etc/{place}/ca-certificates.crt", f"# authorities of {place}\n")
    fs.file("/etc/rauc-hawkbit-updater/openssl.cnf", layer(f"{files}/openssl.cnf"))
    fs.file(
        f"{UNITS}/rauc-hawkbit-updater.service",
        "[Service]\nExecStart=/usr/bin/rauc-hawkbit-updater -s -c /etc/rauc-hawkbit-updater/config.conf\n",
    )
    fs.file(f"{UNITS}/rauc-hawkbit-updater.service.d/50-everest-hawkbit.conf", layer(f"{files}/50-everest-hawkbit.conf"))
    return fs.link(f"{LOCAL}/multi-user.target.wants/rauc-hawkbit-updater.service", f"{UNITS}/rauc-hawkbit-updater.service")
