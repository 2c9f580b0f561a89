"""Text that came from an artefact, made fit for a message, a terminal or a page."""


def printable(text: str) -> str:
    r"""Return `text` with what is not printable (control characters, bidirectional overrides, undecodable bytes) escaped as in `\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)
