"""A charger's certificates laid out for provisioning: as a directory or a tar archive, checked before a byte of it is written."""

import io
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from everest_secure.certs.check import verify_stores
from everest_secure.certs.matching import matching
from everest_secure.certs.members import Member, StagedTree, members_of
from everest_secure.certs.offer import Offer, StageError
from everest_secure.image.artefact import Artefact
from everest_secure.pki.files import new_directory, publish, refuse_existing, write_new
from everest_secure.policy.parameters import ServiceUser
from everest_secure.policy.profile import Policy
from everest_secure.report.model import Report

ARCHIVE = ".tar"
"""What the name of an archive ends with."""


@dataclass(frozen=True, slots=True)
class Staged:
    """What came of it."""

    report: Report
    members: tuple[Member, ...]
    """What was written; empty when the store was refused."""
    owned: bool
    """Whether all of it belongs to the service user: always in an archive, in a directory when root made it."""


def stage(output: Path, offer: Offer, *, policy: Policy) -> Staged:
    """Check the store that an offer makes, and write it when everything holds or is waived.

    `output` is an archive when its name ends in `.tar`, and a new directory otherwise. Nothing is overwritten, and nothing has its name before all of
    it is on the disk. Raises StageError or PkiError when nothing is offered, the name is taken, or it cannot be written.
    """
    if not offer.files:
        raise StageError("nothing was given to stage; name root authorities with --ca, or a chain with --csms or --secc")
    refuse_existing(output)
    user = policy.parameters.service_user
    members = members_of(offer)
    artefact = Artefact(output.name, "staged store", tree=StagedTree(output.name, members, user))
    report = verify_stores([artefact], policy=policy, configuration=offer.layout, more=(matching(offer),))
    if report.exit_code:
        return Staged(report, (), owned=False)
    if output.name.endswith(ARCHIVE):
        publish(output, archive(members, user), mode=0o600)
        return Staged(report, members, owned=True)
    with new_directory(output) as place:
        return Staged(report, members, owned=_write(members, place, user))


def archive(members: Sequence[Member], user: ServiceUser) -> bytes:
    """Return a tar archive whose members belong to the service user; the same members make the same bytes.

    Its times are SOURCE_DATE_EPOCH, or 0.
    """
    made, time = io.BytesIO(), _time()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member in members:
            header = tarfile.TarInfo(member.path if member.path == "." else f"./{member.path}")
            header.uid, header.gid, header.uname, header.gname = user.uid, user.gid, user.name, user.name
            header.mode, header.mtime, header.size = member.mode, time, len(member.content or b"")
            header.type = tarfile.DIRTYPE if member.content is None else tarfile.REGTYPE
            tar.addfile(header, io.BytesIO(member.content or b""))
    return made.getvalue()


def _time() -> int:
    given = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not given.isdecimal() or int(given) >= 8**11:
        raise StageError(f"SOURCE_DATE_EPOCH is '{given}' and no number of seconds that an archive can hold; unset it or mend it")
    return int(given)


def _write(members: Sequence[Member], place: Path, user: ServiceUser) -> bool:
    """Fill a directory; returns whether everything in it was given to the service user, which only root can."""
    owned = os.geteuid() == 0
    for member in members:
        path = place / member.path
        if member.content is not None:
            write_new(path, member.content, mode=member.mode)
        elif member.path != ".":
            path.mkdir(mode=member.mode)
        if owned:
            os.chown(path, user.uid, user.gid)
    return owned
