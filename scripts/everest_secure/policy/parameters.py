"""The values that checks compare an artefact with: what a profile sets and a user's policy file may override.

Every field has a key of the same name in the `parameters:` mapping of `conf/policy/profiles/*.yml`; the profile `production` sets all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class ServiceUser:
    """The account that EVerest's modules run as (ACC-02)."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str
    groups: tuple[str, ...]
    """Supplementary groups that it must be in, no more and no fewer."""


ElfFault = Literal["pie", "relro", "nx", "stack-protector", "fortify", "rpath"]
"""What a program can lack."""


@dataclass(frozen=True, slots=True)
class ElfException:
    """Programs that may lack some of the hardening that others have (BIN-01)."""

    paths: tuple[str, ...]
    """Patterns of the files."""
    lacks: tuple[ElfFault, ...]
    """What they may lack."""
    reason: str


@dataclass(frozen=True, slots=True)
class Limits:
    """A range of whole numbers, both ends in it."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class ExpiryDays:
    """How many days of validity must be left, so that a replacement reaches the field in time (RAUC-09)."""

    authority: int
    """Of the trust anchors and intermediates."""
    signer: int
    """Of a bundle's signer."""
    revocation_list: int
    """Of the revocation lists in the keyring."""


@dataclass(frozen=True, slots=True)
class JournalLimit:
    """What the journal must take of one service, and what it may take at most (LOG-02, LOG-03)."""

    least_lines: int
    """Lines that it takes at once."""
    most_seconds: int
    """Seconds after which it takes as many again, at most."""
    most_lines_per_second: int
    """Lines per second that it takes in the long run, at most."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Everything a profile decides; paths are absolute paths in the root file system, patterns are fnmatch(3)."""

    service_user: ServiceUser
    group_ids: Mapping[str, int]
    """Groups whose numeric id is fixed: `gpio` is 1501 (ACC-02)."""
    module_capabilities: Mapping[str, tuple[str, ...]]
    """EVerest module type to exactly the capabilities it needs; a module not named needs none (ACC-04)."""
    world_writable: tuple[str, ...]
    """Patterns of paths that anyone may write to (FS-05)."""
    setuid: tuple[str, ...]
    """Patterns of files that may be setuid or setgid (FS-05)."""
    file_capabilities: tuple[str, ...]
    """Patterns of files that may carry `security.capability` (FS-05)."""
    published_keys: tuple[str, ...]
    """Patterns of files whose private keys are published test vectors (FS-06)."""
    broker_socket: str
    """Path of the main broker's unix socket (NET-01)."""
    mqtt_api_units: tuple[str, ...]
    """Patterns of units whose broker is an exposed MQTT API even when they start (NET-02)."""
    mqtt_api_read: tuple[str, ...]
    """Topic filters that clients of the MQTT API may read, and that its bridge may carry out of EVerest's broker (NET-02)."""
    mqtt_api_write: tuple[str, ...]
    """Topic filters that clients may write, and that the bridge may carry into EVerest's broker (NET-02)."""
    mqtt_api_minutes: int
    """Minutes after which the MQTT API must have been switched off (NET-02)."""
    inbound: Mapping[str, tuple[str, ...]]
    """Interface to what may come in on it: `tcp/443`, `udp/15118`, `icmpv6`, `icmp`; `lo` is not listed (NET-04)."""
    plc_interfaces: tuple[str, ...]
    """Interfaces on the vehicle's side, which have link-local addresses only (NET-05)."""
    interface_settings: Mapping[str, tuple[str, ...]]
    """Kernel setting to the values that it may have; `INTERFACE` stands for `all`, `default` and the interfaces of `inbound` (NET-05)."""
    enabled_units: tuple[str, ...]
    """Patterns of units that may be enabled or started by something enabled; one of a template's name stands for all instances (NET-06)."""
    forbidden_packages: Mapping[str, tuple[str, ...]]
    """Requirement to patterns of packages that must not be installed (keys NET-03, NET-06, BIN-02)."""
    forbidden_files: Mapping[str, tuple[str, ...]]
    """Requirement to patterns of files that must not exist, for images without a package list (keys NET-03, NET-06, BIN-02)."""
    secure_boot_certificates: tuple[Path, ...]
    """PEM files with the certificates of the product's db, or of the keys that its U-Boot requires; relative to the file that names them (BOOT-01)."""
    initrd_inits: tuple[str, ...]
    """SHA-256 of programs `/init` of an initrd that somebody has read: they start nothing when a word follows the `--` of the command line (BOOT-03)."""
    addon_sections: tuple[str, ...]
    """SHA-256 of what addons of systemd-stub may bring to a signed UKI: the content of a section such as `.initrd` or `.cmdline` (BOOT-03)."""
    watchdog_seconds: int
    """Seconds after which the hardware watchdog resets a frozen charger, at most (BOOT-05)."""
    reboot_watchdog_seconds: int
    """Seconds that a shutdown may take before the hardware watchdog ends it, at most (BOOT-05)."""
    restarted_services: tuple[str, ...]
    """Services that systemd starts again when they fail (BOOT-05)."""
    kernel_exceptions: Mapping[str, str]
    """Option of conf/policy/kernel.yml, without `CONFIG_`, to the reason for which the kernel does without its rule (KERN-01, KERN-02, NET-08, BOOT-05)."""
    elf_protected_code: int
    """Bytes of code from which on a program without a sign of the stack protector counts as built without it (BIN-01)."""
    elf_exceptions: tuple[ElfException, ...]
    """Programs that may lack some of the hardening (BIN-01)."""
    usb_devices: tuple[str, ...]
    """USB devices that udev may authorise, `VENDOR:PRODUCT` in small hexadecimal letters as lsusb writes them (NET-08)."""
    forbidden_modules: tuple[str, ...]
    """Patterns of EVerest module types that must not be configured or installed: simulators, sniffers, dummies (BIN-02)."""
    masked_units: tuple[str, ...]
    """Units that must be masked (NET-07)."""
    tls_min_protocol: str
    """Lowest protocol of the OpenSSL policy file: `TLSv1.2` (TLS-02)."""
    tls_ciphers: tuple[str, ...]
    """Cipher suites up to TLS 1.2 that the policy file may list (TLS-02)."""
    tls_ciphersuites: tuple[str, ...]
    """TLS 1.3 suites that the policy file may list (TLS-02)."""
    iso15118_tls: tuple[str, ...]
    """Values that `tls_security` and `tls_negotiation_strategy` may have (TLS-01)."""
    ocpp_ciphers: tuple[str, ...]
    """Patterns of cipher suites, of TLS 1.2 and 1.3, that OCPP may offer the CSMS (OCPP-01)."""
    ocpp_placeholders: tuple[str, ...]
    """Patterns of names and hosts that are an example's and no product's (OCPP-01)."""
    ocpp_chain_characters: Limits
    """Longest certificate chain that the CSMS may send, in characters of PEM (OCPP-02)."""
    ocpp_store_certificates: Limits
    """Certificates that the CSMS may install (OCPP-02)."""
    tpm2_openssl: str
    """Lowest version of tpm2-openssl (TPM-01)."""
    commands: Mapping[str, str]
    """Requirement to the path of the command on the target that fulfils it (keys TPM-06, CERT-08)."""
    certificate_key_bits: Mapping[str, int]
    """Least size of a certificate's key by its kind, `RSA` and `EC`; other kinds but Ed25519 and Ed448 are refused (CERT-04)."""
    expiry_warning_days: int
    """Days before its end from which on a certificate in the store is a finding (CERT-04)."""
    csr_dns_name: str
    """DNS name that certificate requests must carry; empty when the product wants none (CERT-05)."""
    csr_ip_address: str
    """IPv4 address that certificate requests must carry; empty when the product wants none (CERT-05)."""
    certificate_store_mib: int
    """MiB that the certificate store may grow to before EVerest cleans it: the data partition must hold as much (CERT-06)."""
    log_directory: str
    """Directory below which sessions and OCPP messages are logged (LOG-01)."""
    ocpp_log_formats: tuple[str, ...]
    """Formats in which OCPP messages must be logged: `log`, `security` (LOG-01)."""
    bundle_formats: tuple[str, ...]
    """RAUC bundle formats that may be accepted and shipped: `verity`, `crypt` (RAUC-01, RAUC-03)."""
    signature_key_bits: int
    """Least RSA modulus size in bits of a bundle signer (RAUC-03)."""
    development_authorities: bool
    """Whether certificates marked as development may be trust anchors (RAUC-02) and lie in the certificate store (CERT-04)."""
    dbus_users: tuple[str, ...]
    """Users and `group:NAME` that may call RAUC over D-Bus (RAUC-04)."""
    polkit_rules: tuple[str, ...]
    """Patterns of the paths of polkit's rules that somebody has read (ACC-06)."""
    polkit_root_actions: tuple[str, ...]
    """Patterns of polkit's actions that make root of whoever may do them (ACC-06)."""
    update_gate: str
    """The one unit that decides whether an updated slot is good (RAUC-06)."""
    update_components: tuple[str, ...]
    """Slot classes of components besides root and boot chain that update through the bundle, such as `mcu` (RAUC-07)."""
    update_expiry_days: ExpiryDays
    """Days that certificates and revocation lists of updates must still be valid (RAUC-09)."""
    bill_of_materials_required: bool
    """Whether an image without a bill of materials is a finding (SUP-01)."""
    vulnerability_report_required: bool
    """Whether an image without a report of known vulnerabilities is a finding (SUP-02)."""
    vulnerability_score: float
    """Lowest CVSS base score, 0.0 to 10.0, of an open vulnerability that counts; one without a score always does (SUP-02)."""
    modified_layers: bool
    """Whether layers may hold changes that are in no commit, as on a bench (SUP-03)."""
    journal_max_mib: int
    """MiB that the journal may take of the data partition (LOG-02)."""
    journal_services: tuple[str, ...]
    """Services whose output and errors must reach the journal, where they are installed (LOG-02)."""
    journal_limit: JournalLimit
    """How journald's limits of what one service says are judged (LOG-02, LOG-03)."""
    monitor_units: tuple[str, ...]
    """Units that watch for security events; each must start (LOG-03)."""
    stand_ins: bool
    """Whether the image may hold stand-ins for EVerest's own binaries, as the reference image does (BIN-02)."""
    evidence_required: bool
    """Whether missing or expired evidence counts as a finding."""
    waiver_days: int
    """Days from today within which a waiver must end; one that ends later covers nothing."""
    evidence_days: int
    """Days from its date for which a statement of evidence may hold; one that is to hold for longer counts as none."""
