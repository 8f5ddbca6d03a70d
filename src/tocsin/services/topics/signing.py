"""The signature of messages, by AWS's published algorithm, and the certificate that anybody verifies it with.

Key and certificate are made once and kept in the data directory; the server serves the certificate.
"""

import base64
import functools
import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

KEY_BITS = 2048  # as AWS's own
VALID_DAYS = 3650
HASHES: dict[str, hashes.HashAlgorithm] = {
    "1": hashes.SHA1(),  # noqa: S303 - what SignatureVersion 1 is
    "2": hashes.SHA256(),
}


class Signer:
    """`kept` gives what `made` made, key and certificate in PEM. It is asked when first something is signed."""

    def __init__(self, kept: Callable[[], bytes]) -> None:
        self._kept = kept
        self._making = threading.Lock()  # signing is done in threads, and there must be one key

    def _pem(self) -> bytes:
        """What is made once stays, so this may be asked again."""
        with self._making:
            return self._kept()

    @functools.cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        key = serialization.load_pem_private_key(self._pem(), None)
        assert isinstance(key, rsa.RSAPrivateKey), "made so"
        return key

    @functools.cached_property
    def certificate(self) -> bytes:
        return x509.load_pem_x509_certificate(self._pem()).public_bytes(serialization.Encoding.PEM)

    @functools.cached_property
    def name(self) -> str:
        """Of the certificate's file; another certificate has another."""
        return f"SimpleNotificationService-{hashlib.sha256(self.certificate).hexdigest()[:32]}.pem"

    def sign(self, text: bytes, version: str) -> str:
        return base64.b64encode(self._key.sign(text, padding.PKCS1v15(), HASHES[version])).decode()


def made() -> bytes:
    """A new key and its certificate, self-signed, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.tocsin.local")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
