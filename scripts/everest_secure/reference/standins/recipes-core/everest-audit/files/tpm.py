"""Keys in the TPM, and TLS as the service's OpenSSL speaks it."""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proof import SERVICE_USER, Fact, proves, run

POLICY = "OPENSSL_CONF=/etc/everest/openssl.cnf"
STORE = Path("/etc/everest/certs")
CSMS = STORE / "client/csms/CSMS_LEAF.tkey"
WITH_TPM = ("-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2")
PORT = 44330
START_SECONDS = 60


@proves("TPM-01")
def both_providers_are_there() -> Iterator[Fact]:
    said = run("openssl", "list", "-providers", "-provider", "default", "-provider", "tpm2", env=(POLICY,)).stdout
    names = re.findall(r"^  (\S+)$", said, re.MULTILINE)
    yield sorted(names) == ["default", "tpm2"] and said.count("status: active") == 2, f"openssl list -providers: {said}"


@proves("TPM-03")
def the_service_user_reaches_the_tpm_and_others_do_not() -> Iterator[Fact]:
    random = ("openssl", "rand", "-provider", "tpm2", "-hex", "8")
    done = run(*random, user=SERVICE_USER, env=(POLICY,))
    yield (
        done.returncode == 0 and bool(re.fullmatch(r"[0-9a-f]{16}\n", done.stdout)),
        f"{SERVICE_USER}: openssl rand: exit code {done.returncode}",
    )
    done = run(*random, user="nobody", env=(POLICY,))
    yield done.returncode != 0, f"nobody: openssl rand: exit code {done.returncode}"


@proves("TPM-04")
def the_keys_are_in_the_tpm() -> Iterator[Fact]:
    done = run("everest-tpm", "verify")
    yield done.returncode == 0, f"everest-tpm verify: {done.stdout}"
    heads = {file: file.read_text().splitlines()[0] for file in (CSMS, STORE / "client/cso/SECC_LEAF.tkey")}
    for file, head in heads.items():
        yield head == "-----BEGIN TSS2 PRIVATE KEY-----", f"{file}: {head}"


@proves("TPM-05")
def the_default_provider_digests_and_the_tpm_signs() -> Iterator[Fact]:
    with _place() as place:
        (place / "data").write_text("audit")
        start = time.monotonic()
        done = run("openssl", "dgst", "-sha256", str(place / "data"), user=SERVICE_USER, env=(POLICY,))
        yield done.returncode == 0, f"digest in {time.monotonic() - start:.1f} s: {done.stdout}"
        files = ("-in", str(place / "data"), "-rawin", "-digest", "sha256")
        sign = ("openssl", "pkeyutl", *WITH_TPM, "-sign", "-inkey", str(CSMS), *files, "-out", str(place / "signature"))
        done = run(*sign, user=SERVICE_USER, env=(POLICY,))
        yield done.returncode == 0, f"signature by the TPM: exit code {done.returncode} {done.stdout}"
        run("openssl", "pkey", *WITH_TPM, "-in", str(CSMS), "-pubout", "-out", str(place / "public"), user=SERVICE_USER, env=(POLICY,))
        verify = ("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(place / "public"), *files, "-sigfile", str(place / "signature"))
        said = run(*verify, user=SERVICE_USER, env=(POLICY,)).stdout
        yield "Verified Successfully" in said, f"the default provider verifies it: {said}"


@proves("TPM-06")
def a_request_is_signed_and_the_key_shakes_hands() -> Iterator[Fact]:
    with _place() as place:
        request = run("everest-tpm", "csr", "csms", "--common-name", "audit", "--dns", "charger.example", "--ip", "192.0.2.7").stdout
        (place / "request").write_text(request)
        said = run("openssl", "req", "-in", str(place / "request"), "-noout", "-text", "-verify").stdout
        yield "DNS:charger.example" in said and "IP Address:192.0.2.7" in said, "the request names charger.example and 192.0.2.7"
        _authority(place)
        issue = ("-CA", "ca.pem", "-CAkey", "ca.key", "-days", "1", "-copy_extensions", "copy", "-out", "client.pem")
        done = _openssl(place, "x509", "-req", "-in", "request", *issue)
        yield done.returncode == 0, f"a CA of the audit signs the request: {done.stdout}"
        with _server(place, "-Verify", "1", "-verify_return_error", "-CAfile", "ca.pem"):
            # With TLS 1.2 the server has judged the certificate before the client says what was agreed on.
            said = _connect(place, "-tls1_2", "-cert", "client.pem", "-key", str(CSMS), *WITH_TPM)
            yield "Verification: OK" in said and "New, TLSv1.2" in said, f"handshake with the TPM's key: {_shown(said)}"
            said = _connect(place, "-tls1_2")
            yield "Cipher is (NONE)" in said and "alert" in said, f"handshake without a certificate: {_shown(said)}"


@proves("TLS-02")
def old_protocols_and_weak_ciphers_are_refused() -> Iterator[Fact]:
    with _place() as place:
        _authority(place)
        with _server(place):
            for wanted, options in (("TLSv1.2", ("-tls1_2",)), ("TLSv1.3", ("-tls1_3",))):
                said = _connect(place, *options)
                yield wanted in said and "Verification: OK" in said, f"{wanted}: {_shown(said)}"
            weak = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
            for name, weaker in (
                ("TLSv1.1", ("-tls1_1", "-cipher", weak)),
                ("AES128-SHA", ("-tls1_2", "-cipher", "AES128-SHA")),
                ("ECDHE-ECDSA-AES128-SHA", ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA")),
            ):
                # The other side takes everything: what refuses is the service's policy.
                said = _connect(place, *weaker, policy="/dev/null")
                yield "Cipher is (NONE)" in said and "alert" in said, f"{name} refused: {_shown(said)}"


@proves("CERT-01")
def the_certificate_store_is_the_service_users() -> Iterator[Fact]:
    for name in ("ca/v2g", "ca/csms", "ca/mf", "ca/mo", "client/csms", "client/cso"):
        status = (STORE / name).stat()
        yield (
            (status.st_uid, status.st_mode & 0o7777) == (1500, 0o700),
            f"{STORE / name}: uid {status.st_uid} mode {status.st_mode & 0o7777:o}",
        )


@proves("CERT-02")
def keys_are_readable_by_the_service_user_alone() -> Iterator[Fact]:
    for file in (CSMS, STORE / "client/cso/SECC_LEAF.tkey"):
        status = file.stat()
        yield (status.st_uid, status.st_mode & 0o7777) == (1500, 0o600), f"{file}: uid {status.st_uid} mode {status.st_mode & 0o7777:o}"


@contextmanager
def _place() -> Iterator[Path]:
    """Yield an empty directory of the service user in memory."""
    with tempfile.TemporaryDirectory(dir="/run", prefix="everest-audit-") as directory:
        os.chown(directory, 1500, 1500)
        yield Path(directory)


def _openssl(place: Path, *argv: str, policy: str = POLICY.partition("=")[2]) -> subprocess.CompletedProcess[str]:
    return run("sh", "-c", 'cd "$0" && exec openssl "$@"', str(place), *argv, user=SERVICE_USER, env=(f"OPENSSL_CONF={policy}",))


def _authority(place: Path) -> None:
    """Make a CA, and a server's key and certificate of it."""
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "1")
    plain = "/etc/ssl/openssl.cnf"
    _openssl(place, "req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=audit CA", policy=plain)
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key")
    _openssl(place, "req", "-x509", *new, *signed, "-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=localhost", policy=plain)


@contextmanager
def _server(place: Path, *options: str) -> Iterator[None]:
    """Run a TLS server with the service's OpenSSL policy on the loopback interface."""
    serve = (
        f"OPENSSL_CONF=/etc/everest/openssl.cnf exec openssl s_server -quiet -accept 127.0.0.1:{PORT} -cert server.pem -key server.key "
        + " ".join(options)
    )
    process = subprocess.Popen(["sh", "-c", serve], cwd=place, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + START_SECONDS
        while f":{PORT:04X} 00000000:0000 0A" not in Path("/proc/net/tcp").read_text() and time.monotonic() < end:
            time.sleep(0.2)
        yield
    finally:
        process.kill()
        process.wait()


def _connect(place: Path, *options: str, policy: str = POLICY.partition("=")[2]) -> str:
    command = ("s_client", "-connect", f"127.0.0.1:{PORT}", "-CAfile", "ca.pem", "-verify_return_error", *options)
    return _openssl(place, *command, policy=policy).stdout


def _shown(said: str) -> str:
    found = re.findall(r"(New, .*|Verification: .*|.*alert.*|.*:error:.*)", said)
    return "; ".join(line.strip() for line in found[:3]) or said.strip()[-200:]
