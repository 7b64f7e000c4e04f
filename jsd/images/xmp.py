"""The XMP packet of a picture: who reads none of our keys learns here that a model drew it."""

import json
import re
from collections.abc import Mapping
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from jsd.images.parameters import writable

# https://cv.iptc.org/newscodes/digitalsourcetype/
DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
JSD = "urn:jsd:record:1"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
# The AI properties are IPTC 2025.1's.
PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{iptc}" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/" xmlns:jsd="{jsd}">
{properties}
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


def to_xmp(metadata: Mapping[str, object], version: str, *, with_record: bool) -> bytes:
    """The packet; `with_record` puts all of `metadata` into it, as JSON."""
    properties = {"Iptc4xmpExt:DigitalSourceType": DIGITAL_SOURCE_TYPE, "xmp:CreatorTool": f"jsd {version}"}
    for name, key in (("Iptc4xmpExt:AISystemUsed", "model"), ("Iptc4xmpExt:AIPromptInformation", "prompt")):
        if key in metadata:
            properties[name] = str(metadata[key])
    if with_record:
        properties["jsd:record"] = to_json(metadata)
    lines = [f"<{name}>{_escape(value)}</{name}>" for name, value in properties.items()]
    if metadata.get("licence") is not None:
        terms = [f"Drawn by the model {metadata.get('model')}, whose licence is {metadata['licence']}"]
        terms += [str(metadata[key]) for key in ("licence_url", "use_restrictions") if metadata.get(key) is not None]
        alternative = f'<rdf:Alt><rdf:li xml:lang="x-default">{_escape("; ".join(terms))}</rdf:li></rdf:Alt>'
        lines.append(f"<xmpRights:UsageTerms>{alternative}</xmpRights:UsageTerms>")
    return PACKET.format(rdf=RDF, iptc=IPTC, jsd=JSD, properties="\n".join(lines)).encode()


def from_xmp(packet: bytes) -> dict[str, str]:
    """{"record": our JSON, "digital_source_type": its URI}, what there is of them; other tools' packets too."""
    try:
        root = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"), ElementTree.XMLParser(target=_WithoutDoctype()))
    except (ElementTree.ParseError, ValueError, LookupError):
        return {}
    found: dict[str, str] = {}
    wanted = {f"{{{JSD}}}record": "record", f"{{{IPTC}}}DigitalSourceType": "digital_source_type"}
    for element in root.iter():
        # XMP lets a property be an element, its resource, or an attribute of its parent.
        values = {element.tag: element.get(f"{{{RDF}}}resource", element.text)} | dict(element.attrib)
        found |= {wanted[name]: text for name, text in values.items() if name in wanted and text is not None}
    return found


class _WithoutDoctype(ElementTree.TreeBuilder):
    """A declaration of entities has no place in XMP, and could grow to gigabytes."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError(f"XMP with a document type, {name}")


def to_json(metadata: Mapping[str, object]) -> str:
    """One line; Japanese stays readable, half surrogates and what XML forbids become escapes."""
    text = json.dumps(metadata, ensure_ascii=False)
    return re.sub("[\ud800-\udfff\ufffe\uffff]", lambda found: f"\\u{ord(found.group()):04x}", text)


def _escape(text: str) -> str:
    # A parser would read a carriage return as a line feed.
    return escape(writable(text), {"\r": "&#13;"})
