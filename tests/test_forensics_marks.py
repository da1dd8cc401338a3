"""What files say of their origin, read from files as others write them."""

import json
import time

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gan_forensics.data.embedded import Embedded, Text, embedded
from gan_forensics.data.iptc import iptc_values
from gan_forensics.data.xmp import xmp_properties
from gan_forensics.forensics.marks import MOST_SHOWN, marks_of
from tests.test_data_embedded import exif, saved

SPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "TC260": "http://www.tc260.org.cn/ns/AIGC/1.0/",
}
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SETTINGS = "a cat\nNegative prompt: blur\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"
LABEL = {"Label": "1", "ContentProducer": "maker", "ProduceID": "7"}


def packet(inner="", **attributes):
    spaces = " ".join(f'xmlns:{name}="{space}"' for name, space in SPACES.items())
    some = " ".join(f'{name.replace("_", ":", 1)}="{text}"' for name, text in attributes.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta '
        f'xmlns:x="adobe:ns:meta/"><rdf:RDF {spaces}><rdf:Description rdf:about="" {some}>'
        f'{inner}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def said(content):
    """What each mark is and says."""
    found = content if isinstance(content, Embedded) else embedded(content)
    return [(mark.what, mark.where, mark.says) for mark in marks_of(found).marks]


def png(**texts):
    info = PngInfo()
    for keyword, text in texts.items():
        info.add_text(keyword.replace("_", "-") if keyword == "sd_metadata" else keyword, text)
    return saved("PNG", pnginfo=info)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_digital_source_type_is_found_in_every_container(kind):
    data = packet(Iptc4xmpExt_DigitalSourceType=SOURCE + "trainedAlgorithmicMedia")
    if kind == "PNG":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", data.decode())
        content = saved("PNG", pnginfo=info)
    elif kind == "TIFF":
        content = saved("TIFF", tiffinfo={700: data})
    else:
        content = saved(kind, xmp=data)
    what = "IPTC digital source type: made by a generative AI model"
    assert said(content) == [(what, "XMP", "generated")]


@pytest.mark.parametrize(
    ("code", "says"),
    [("compositeWithTrainedAlgorithmicMedia", "edited"), ("digitalCapture", "camera"),
     ("screenCapture", "other"), ("unheardOf", "other")],
)  # fmt: skip
def test_source_types_as_attribute_element_and_resource(code, says):
    element = f"<Iptc4xmpExt:DigitalSourceType>{SOURCE}{code}</Iptc4xmpExt:DigitalSourceType>"
    resource = f'<Iptc4xmpExt:DigitalSourceType rdf:resource="{SOURCE}{code}"/>'
    forms = (packet(element), packet(resource), packet(Iptc4xmpExt_DigitalSourceType=SOURCE + code))
    first, *others = [said(Embedded(xmp=form)) for form in forms]
    assert first == others[0] == others[1] and first[0][2] == says


def test_an_ingredient_of_a_packet_is_another_picture():
    other = f'<rdf:li Iptc4xmpExt:DigitalSourceType="{SOURCE}trainedAlgorithmicMedia"/>'
    inner = f"<xmpMM:Pantry><rdf:Bag>{other}</rdf:Bag></xmpMM:Pantry>"
    assert said(Embedded(xmp=packet(inner))) == []


def test_credits_tools_and_fields_of_2025_say_that_it_was_generated():
    history = (
        '<xmpMM:History><rdf:Seq><rdf:li stEvt:softwareAgent="Adobe Photoshop 26.0"/>'
        '<rdf:li stEvt:softwareAgent="Adobe Firefly 3"/></rdf:Seq></xmpMM:History>'
    )
    data = packet(
        history,
        photoshop_Credit="Made with Google AI",
        xmp_CreatorTool="Midjourney",
        Iptc4xmpExt_AISystemUsed="A Machine",
        Iptc4xmpExt_AIPromptWriterName="Ann Oakley",
    )
    found = marks_of(Embedded(xmp=data))
    assert said(Embedded(xmp=data)) == [
        ("AI system used", "XMP", "generated"),
        ("Made with Google AI", "XMP credit", "generated"),
        ("Midjourney", "XMP CreatorTool", "generated"),
        ("Adobe Firefly", "XMP history", "generated"),
        ("the program that wrote it", "XMP history", "nothing"),
    ]
    assert found.private == {"writer of the prompt (XMP)": "Ann Oakley"}
    iptc = bytes([28, 2, 110, 0, 19]) + b"Made with Google AI"
    assert said(Embedded(iptc=iptc)) == [("Made with Google AI", "IPTC credit", "generated")]


@pytest.mark.parametrize(
    ("texts", "what", "where"),
    [
        ({"parameters": SETTINGS}, "AUTOMATIC1111", "parameters"),
        ({"parameters": '{"sui_image_params": {"prompt": "a"}}'}, "SwarmUI", "parameters"),
        ({"prompt": '{"3": {"class_type": "KSampler"}}'}, "ComfyUI", "prompt"),
        ({"workflow": '{"nodes": []}'}, "ComfyUI", "workflow"),
        ({"Software": "NovelAI"}, "NovelAI", "Software"),
        ({"Source": "Stable Diffusion XL 9B6A1D"}, "Stable Diffusion", "Source"),
        ({"invokeai_metadata": "{}"}, "InvokeAI", "invokeai_metadata"),
        ({"sd_metadata": "{}"}, "InvokeAI", "sd-metadata"),
        ({"Dream": '"a cat" -s 50'}, "InvokeAI", "Dream"),
        ({"Description": "a cat --v 6 Job ID: 01234567-89ab-cdef-0123-456789abcdef"},
         "Midjourney", "Description"),
        ({"AIGC": json.dumps(LABEL)}, "China's label of generated content (TC260): content that "
         "is generated", "AIGC"),
    ],
)  # fmt: skip
def test_generators_leave_texts_in_png(texts, what, where):
    ((found, place, says),) = said(png(**texts))
    assert found.startswith(what) and place == f"PNG tEXt {where}" and says == "generated"


@pytest.mark.parametrize(
    "texts",
    [{"parameters": "focal length 50"}, {"prompt": "say your name"}, {"workflow": "mine"},
     {"Software": "GIMP 3.0"}, {"Description": "Job ID: 5"}, {"AIGC": "{}"},
     {"AIGC": '{"Label": "1"}'}, {"AIGC": "no JSON"},
     {"Comment": "Steps: 20, then turn left"}],
)  # fmt: skip
def test_common_words_say_nothing(texts):
    assert all(says == "nothing" for _, _, says in said(png(**texts)))


def test_the_label_of_china_is_read_from_xmp_and_exif():
    escaped = json.dumps(LABEL).replace('"', "&quot;")
    for data in (packet(f"<TC260:AIGC>{escaped}</TC260:AIGC>"), packet(TC260_AIGC=escaped)):
        assert said(Embedded(xmp=data))[0][1:] == ("XMP", "generated")
    made = Image.Exif()
    made.get_ifd(34665)[37510] = b"ASCII\0\0\0" + json.dumps({"AIGC": LABEL}).encode()
    found = said(saved("JPEG", exif=made))
    assert found[0][1:] == ("Exif UserComment", "generated")
    odd = json.dumps({**LABEL, "Label": "9"}).replace('"', "&quot;")
    assert said(Embedded(xmp=packet(TC260_AIGC=odd)))[0][2] == "other"


def test_generators_write_exif_as_well():
    made = Image.Exif()
    made.get_ifd(34665)[37510] = b"UNICODE\0" + SETTINGS.encode("utf-16-be")
    assert said(saved("JPEG", exif=made))[0][1:] == ("Exif UserComment", "generated")
    made = Image.Exif()
    made[271], made[272] = 'workflow:{"nodes": []}', 'prompt:{"3": {"class_type": "KSampler"}}'
    assert said(saved("WEBP", exif=made)) == [
        ("ComfyUI", "Exif Make", "generated"), ("ComfyUI", "Exif Model", "generated"),
    ]  # fmt: skip
    made[271], made[272] = "Ideogram AI", "V2"
    assert said(saved("JPEG", exif=made)) == [("Ideogram", "Exif Make", "generated")]


def test_a_camera_is_its_name_with_an_exposure():
    found = said(saved("JPEG", exif=exif()))
    assert ("a camera's name and exposure", "Exif", "camera") in found
    bare = exif()
    del bare.get_ifd(34665)[33434], bare.get_ifd(34665)[33437]
    assert all(says == "nothing" for _, _, says in said(saved("JPEG", exif=bare)))
    generated = exif()
    generated[305] = "ComfyUI"
    assert {says for _, _, says in said(saved("JPEG", exif=generated))} == {"generated"}


def test_names_and_texts_that_may_be_anything_are_private():
    creator = "<dc:creator><rdf:Seq><rdf:li>Ann</rdf:li><rdf:li>Bo</rdf:li></rdf:Seq></dc:creator>"
    iptc = bytes([28, 2, 80, 0, 3]) + b"Ann" + bytes([28, 2, 110, 0, 6]) + b"Agency"
    texts = (Text("PNG tEXt", "Author", "Ann"), Text("PNG tEXt", "Software", "GIMP"))
    marks, private = marks_of(Embedded(xmp=packet(creator), iptc=iptc, texts=texts))
    assert private == {
        "creator (XMP)": "Ann, Bo",
        "by-line (IPTC)": "Ann",
        "credit (IPTC)": "Agency",
        "PNG tEXt Author": "Ann",
    }
    assert [(mark.where, mark.text, mark.length) for mark in marks] == [
        ("PNG tEXt Author", "", 3), ("PNG tEXt Software", "GIMP", 4),
    ]  # fmt: skip


def test_names_of_all_fields_are_private_alone():
    fields = {
        "dc_creator": "creator", "dc_contributor": "contributor", "dc_rights": "rights",
        "photoshop_Credit": "credit", "photoshop_CaptionWriter": "writer of the caption",
        "Iptc4xmpExt_AIPromptWriterName": "writer of the prompt",
        "Iptc4xmpExt_PersonInImage": "person in the picture",
    }  # fmt: skip
    marks, private = marks_of(Embedded(xmp=packet(**dict.fromkeys(fields, "Ann"))))
    assert private == {f"{name} (XMP)": "Ann" for name in fields.values()}
    assert not any("Ann" in mark.text for mark in marks)


def test_long_texts_and_many_of_them_are_cut():
    texts = tuple(
        Text("PNG tEXt", "parameters", f"{n} {SETTINGS}" + "x" * 10**6) for n in range(90)
    )
    found = marks_of(Embedded(texts=texts)).marks
    assert len(found) == 20
    assert {len(mark.text) for mark in found} == {MOST_SHOWN} and found[0].length > 10**6


def test_places_and_serial_numbers_of_xmp_are_private():
    spaces = 'xmlns:exif="http://ns.adobe.com/exif/1.0/" '
    spaces += 'xmlns:aux="http://ns.adobe.com/exif/1.0/aux/"'
    some = f'{spaces} exif:GPSLatitude="48,8N" aux:SerialNumber="42"'
    found = marks_of(Embedded(xmp=packet().replace(b'rdf:about=""', some.encode())))
    assert found.private == {"serial number (XMP)": "42", "latitude (XMP)": "48,8N"}
    assert found.marks == ()


def test_settings_behind_a_very_long_prompt_are_found():
    text = Text("PNG tEXt", "parameters", f"{'a cat, ' * 100_000}\n{SETTINGS}")
    (mark,) = marks_of(Embedded(texts=(text,))).marks
    assert mark.says == "generated"


def test_texts_that_nearly_match_take_no_longer():
    texts = (Text("PNG tEXt", "parameters", "Steps: 1, " * 100_000),) * 100
    start = time.process_time()
    assert {mark.says for mark in marks_of(Embedded(texts=texts)).marks} == {"nothing"}
    assert time.process_time() - start < 2


def test_packets_of_strangers_do_no_harm():
    entities = b"".join(
        b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10 if n else b"a" * 10) for n in range(9)
    )
    lol = b"<!DOCTYPE l [" + entities + b"]><l xmlns='q' xmlns:q='q' q:t='1'>&a8;</l>"
    outer = b"<!DOCTYPE l SYSTEM 'file:///etc/passwd'><l xmlns:q='q' q:t='1'/>"
    assert xmp_properties(lol) == xmp_properties(outer) == {}
    deep = b"<a xmlns='q'>" * 50_000
    many = b"<r xmlns='q'>" + b"<b>x</b>" * 100_000 + b"</r>"
    assert xmp_properties(deep + b"<a x:t='1' xmlns:x='q'/>") == {}
    assert len(xmp_properties(many)["q", "b"]) == 5000
    cut = packet(photoshop_Credit="kept")[:-40]
    assert xmp_properties(cut)[SPACES["photoshop"], "Credit"] == ["kept"]
    assert xmp_properties(b"<?xml version='1.0' encoding='klingon'?><a/>") == {}


def test_odd_datasets_end_the_reading():
    extended = bytes([28, 2, 110, 128, 4]) + b"text"
    assert iptc_values(bytes([28, 2, 80, 0, 3]) + b"Ann" + extended) == {"By-line": "Ann"}
    assert iptc_values(bytes([28, 2, 80, 127, 255]) + b"Ann") == {"By-line": "Ann"}
    assert iptc_values(b"\0" * 100) == {}
