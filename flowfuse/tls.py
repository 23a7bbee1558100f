"""TLS: a self-made certificate for servers on the LAN, and fingerprints (a door to cryptography)."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flowfuse.errors import ConfigInvalid

DAYS = 397
"""Browsers take no longer-lived certificates."""
RENEW_DAYS = 30


def make_certificate(names: Sequence[str], now: datetime.datetime) -> tuple[bytes, bytes]:
    """(certificate, private key) as PEM, for these host names and addresses."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


def is_usable(pem: bytes, names: Sequence[str], now: datetime.datetime) -> bool:
    """Whether a certificate of ours still holds for a while, and for all these names."""
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(pem)
        told = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    lasting = certificate.not_valid_after_utc > now + datetime.timedelta(days=RENEW_DAYS)
    return lasting and all(_general(name) in list(told) for name in names)


def fingerprint(path: Path) -> str:
    """The SHA-256 of a certificate as browsers show it. Raises ConfigInvalid."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigInvalid(field="tls_cert", reason=f"{path} is no certificate: {error}") from None
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


def _general(name: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
