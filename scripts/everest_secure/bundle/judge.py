"""Two verifiers judge a bundle, the independent one and `rauc`; where they differ, neither is believed."""

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from everest_secure.bundle import independent, rauc, rules
from everest_secure.bundle.device import MAX_SIGNATURE, Device
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.inspect import BundleInfo, info_of
from everest_secure.bundle.verdict import PAYLOAD_STAGE, SIGNATURE_STAGE, Reason, Verdict, Why
from everest_secure.errors import ProgramFailedError
from everest_secure.image import blob
from everest_secure.run import Tools


@dataclass(frozen=True, slots=True)
class RaucVerdict:
    """What rauc says of a bundle, with the policy applied to the manifest that rauc read."""

    refusal: str
    """Its own last words; empty when it accepts the bundle."""
    reasons: tuple[Reason, ...] = ()
    """What the device's policy has against what it read."""
    payload: bool = False
    """Whether it has read the payload, too."""

    @property
    def accepted(self) -> bool:
        """Whether nothing speaks against the bundle."""
        return not self.refusal and not self.reasons


@dataclass(frozen=True, slots=True)
class Judgement:
    """Both verdicts."""

    bundle: Path
    device: Device
    independent: Verdict
    rauc: RaucVerdict | None
    """None when rauc was not asked."""

    @property
    def difference(self) -> str:
        """What one verifier says and the other does not; empty when they agree.

        Rules that are the policy's alone (sizes of keys, digests) make no difference: RAUC has none of them.
        """
        if self.rauc is None:
            return ""
        decided = SIGNATURE_STAGE | PAYLOAD_STAGE if self.rauc.payload else SIGNATURE_STAGE
        if self.rauc.refusal and not self.independent.refused_for(SIGNATURE_STAGE | PAYLOAD_STAGE | {Why.IMAGE, Why.ENCODING, Why.NEWER}):
            return f"rauc refuses {self.bundle} and the independent verifier does not: {self.rauc.refusal}"
        if not self.rauc.refusal and self.independent.refused_for(decided):
            first = next(reason for reason in self.independent.reasons if reason.why in decided)
            return f"rauc accepts {self.bundle} and the independent verifier does not: {first.what}"
        if not self.rauc.refusal and self.independent.manifest and set(self.rauc.reasons) - set(self.independent.reasons):
            return f"rauc reads another manifest from {self.bundle} than the independent verifier: {self.rauc.reasons[0].what}"
        return ""

    @property
    def accepted(self) -> bool:
        """Whether a device takes the bundle as far as both can tell."""
        return self.independent.accepted and (self.rauc is None or self.rauc.accepted) and not self.difference


def judge(bundle: Path, *, device: Device, now: datetime, tools: Tools | None, payload: bool = True, thorough: bool = False) -> Judgement:
    """Let both verifiers judge a bundle; without `tools` the independent one alone.

    Without `payload` they look no further than the signed manifest. With `thorough` rauc reads the payload as well, for which it unpacks it into the directory for temporary files. Raises ArtefactError or
    BundleError when the bundle cannot be judged, and ToolError when there is no rauc.
    """
    whole = blob.from_file(bundle)  # what is no file is not handed to rauc, which would wait for the other end of a pipe
    large = int.from_bytes(whole.read(max(0, whole.size - 8), min(8, whole.size)), "big") > MAX_SIGNATURE
    with ThreadPoolExecutor() as threads:  # neither waits for what the other says
        asked = threads.submit(_ask_rauc, bundle, device, tools, thorough=thorough, large=large) if tools else None
        verdict = independent.verify(bundle, device=device, now=now, payload=payload)
        return Judgement(bundle, device, verdict, asked.result() if asked else None)


def require_accepted(judgement: Judgement) -> BundleInfo:
    """Return what an accepted bundle says of itself; raises BundleError with the first reason when it is refused or the verifiers differ."""
    if judgement.difference:
        raise BundleError(f"the two verifiers differ: {judgement.difference}; do not ship it, and report this with the bundle")
    if not judgement.accepted or judgement.independent.manifest is None:
        reasons = judgement.independent.reasons
        raise BundleError(f"{judgement.bundle} is refused with {judgement.device.name}: {reasons[0] if reasons else ''}")
    return info_of(judgement.independent.manifest, verified=True)


def _ask_rauc(bundle: Path, device: Device, tools: Tools, *, thorough: bool, large: bool) -> RaucVerdict:
    """Ask rauc, which is told of the device's limit only for a signature that is `large` by its own."""
    with tempfile.TemporaryDirectory(prefix="everest-secure-") as directory:
        work = Path(directory).resolve()
        configuration, keyring = work / "rauc.conf", device.keyring.resolve()
        key = device.recipient.key_file.resolve() if device.recipient else None
        limit = device.signature_bytes if large else 0
        text = rauc.configuration(formats=device.formats, check_crl=device.check_crl, decryption_key=key, signature_bytes=limit)
        configuration.write_text(text)
        try:
            said = rauc.info(bundle.resolve(), configuration=configuration, keyring=keyring, key=key, tools=tools)
            if thorough:
                rauc.extract(bundle.resolve(), work / "content", configuration=configuration, keyring=keyring, key=key, tools=tools)
        except ProgramFailedError as error:
            return RaucVerdict(str(error), payload=thorough)
        return RaucVerdict("", tuple(_policy(said, device)), payload=thorough)


def _policy(said: Mapping[str, str], device: Device) -> tuple[Reason, ...]:
    """Judge what rauc read in the manifest by the same rules."""
    try:
        count = min(int(said["RAUC_MF_IMAGES"]), 256)
        classes = {said[f"RAUC_IMAGE_CLASS_{index}"] for index in range(count)}
        return tuple(rules.judge(said["RAUC_MF_COMPATIBLE"], said["RAUC_MF_VERSION"], classes, device))
    except (KeyError, ValueError):
        raise BundleError("rauc described the bundle in a way that cannot be read; check which rauc is installed") from None
