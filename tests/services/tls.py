"""Keys and certificates for the servers of the tests, created for each run."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Identity"]

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Identity:
    """A private key with a self-signed certificate.

    :param certificate: the file of the certificate, which is valid for ``127.0.0.1``.
    :param key: the file of the private key.
    """

    certificate: Path
    key: Path
    _secret: rsa.RSAPrivateKey
    _public: x509.Certificate

    @classmethod
    def made(cls, folder: Path, name: str) -> Identity:
        """Create a key and its certificate.

        :param folder: the folder for the files.
        :param name: the common name, and the file name without its suffix.
        """
        secret = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        known_by = x509.SubjectKeyIdentifier.from_public_key(secret.public_key())
        signed_by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known_by)
        public = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(secret.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _DAY)
            .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(known_by, critical=False)
            .add_extension(signed_by, critical=False)
            .sign(secret, hashes.SHA256())
        )
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        certificate.write_bytes(public.public_bytes(serialization.Encoding.PEM))
        key.write_bytes(
            secret.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        return cls(certificate, key, secret, public)

    @property
    def der(self) -> bytes:
        """The certificate in DER format, as embedded in tokens."""
        return self._public.public_bytes(serialization.Encoding.DER)

    def signature(self, content: bytes) -> bytes:
        """Return the RSA signature of a SHA-256 digest.

        :param content: the content to sign.
        """
        return self._secret.sign(content, padding.PKCS1v15(), hashes.SHA256())
