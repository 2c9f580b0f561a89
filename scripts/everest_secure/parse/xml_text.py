"""XML of an image, which is hostile until it is read: no entities, which can grow without bound."""

from xml.etree import ElementTree

from everest_secure.errors import ArtefactError


def parse_xml(text: str, path: str) -> ElementTree.Element:
    """Parse one file; raises ArtefactError for what is no XML or declares entities."""
    if "<!ENTITY" in text:
        raise ArtefactError(f"{path} declares XML entities, which no program of a charger needs; it is taken for hostile")
    try:
        return ElementTree.fromstring(text)  # noqa: S314 - entities are refused above
    except ElementTree.ParseError as error:
        raise ArtefactError(f"{path}:{error.position[0]} is no well-formed XML; mend the file") from None
