"""Content credentials as the library of C2PA makes them, signed with certificates made here."""

import datetime
import http.server
import io
import json
import threading
from contextlib import contextmanager

import c2pa
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from PIL import Image

SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
KINDS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "HEIC": "image/heic",
}
_PEM = serialization.Encoding.PEM


def _name(common):
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test Press"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _certificate(subject, issuer, key, signed_by, *, root, responder=""):
    now = datetime.datetime.now(datetime.UTC)
    usage = dict.fromkeys(
        ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
        + ["encipher_only", "decipher_only"],
        False,
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(4242)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(root, None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=not root, key_cert_sign=root, crl_sign=root, **usage),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signed_by.public_key()), False
        )
    )
    if not root:  # Whoever signs must be allowed to: for mail is one of the ways.
        mail = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.EMAIL_PROTECTION])
        made = made.add_extension(mail, critical=False)
    if responder:
        method = x509.oid.AuthorityInformationAccessOID.OCSP
        place = x509.UniformResourceIdentifier(responder)
        access = x509.AuthorityInformationAccess([x509.AccessDescription(method, place)])
        made = made.add_extension(access, critical=False)
    return made.sign(signed_by, hashes.SHA256())


_ROOT_KEY, _KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
_ROOT = _certificate("Test Root", "Test Root", _ROOT_KEY, _ROOT_KEY, root=True)
ANCHORS = _ROOT.public_bytes(_PEM).decode()


def picture(kind="JPEG", **options):
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    if kind == "HEIC":
        pytest.importorskip("pillow_heif").from_pillow(Image.fromarray(noise)).save(file, **options)
    else:
        Image.fromarray(noise).save(file, kind, **options)
    return file.getvalue()


def signed(content, kind="JPEG", *, source="digitalCapture", parent=None, responder="", remote=""):
    """A picture with credentials: made at once, or from a parent (bytes) that was edited.

    With `remote` the file only names the address of its credentials.
    """
    leaf = _certificate("Photo Desk", "Test Root", _KEY, _ROOT_KEY, root=False, responder=responder)
    chain = leaf.public_bytes(_PEM) + _ROOT.public_bytes(_PEM)
    secret = _KEY.private_bytes(
        _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", chain, secret, None))
    author = {"@type": "CreativeWork", "author": [{"@type": "Person", "name": "Ann Oakley"}]}
    work = {"label": "stds.schema-org.CreativeWork", "kind": "Json", "data": author}
    action = {"action": "c2pa.created", "digitalSourceType": SOURCE + source}
    if parent is not None:
        action = {
            "action": "c2pa.edited",
            "softwareAgent": {"name": "Editor", "version": "2"},
            "when": "2026-01-02T03:04:05Z",
            "digitalSourceType": SOURCE + source,
            "description": "Removed a lamp",
        }
    made = c2pa.Builder(
        json.dumps(
            {
                "claim_generator_info": [{"name": "Test Camera", "version": "1.0"}],
                "title": "a picture",
                "assertions": [work],
            }
        )
    )
    if parent is not None:
        made.set_intent(c2pa.C2paBuilderIntent.EDIT)
        ingredient = {"title": "before.jpg", "relationship": "parentOf"}
        made.add_ingredient(ingredient, KINDS[kind], io.BytesIO(parent))
    made.add_action(json.dumps(action))
    if remote:
        made.set_remote_url(remote)
        made.set_no_embed()
    file = io.BytesIO()
    made.sign(signer, KINDS[kind], io.BytesIO(content), file)
    return file.getvalue()


def changed(content, at=-30):
    """The content with one bit of a byte changed."""
    return content[:at] + bytes([content[at] ^ 1]) + content[at:][1:]


@contextmanager
def listener():
    """A server on this machine: its address, and what it was asked for so far."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
