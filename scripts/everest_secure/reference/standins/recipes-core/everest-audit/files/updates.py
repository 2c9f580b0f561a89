"""Who may drive RAUC."""

from collections.abc import Iterator

from proof import SERVICE_USER, Fact, proves, refused, run

RAUC = ("de.pengutronix.rauc", "/", "de.pengutronix.rauc.Installer")


@proves("RAUC-04")
def only_root_and_the_service_user_reach_rauc() -> Iterator[Fact]:
    for user in ("root", SERVICE_USER):
        done = run("busctl", "get-property", *RAUC, "Operation", user=user)
        yield done.returncode == 0, f"{user} asks RAUC: {done.stdout}"
    yield refused("busctl", "get-property", *RAUC, "Operation", user="nobody", because="denied")
    yield refused("busctl", "call", *RAUC, "InstallBundle", "sa{sv}", "/x", "0", user="nobody", because="denied")
