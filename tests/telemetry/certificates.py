"""Certificates, good and bad, as files."""

import datetime as dt
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from townlet_adapters.telemetry.wire.certificates import read_leaf_file
from townlet_adapters.telemetry.wire.tls import ServerTlsSettings, TlsSettings, server_context

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    cert_file: Path
    key_file: Path

    @property
    def key_sha256(self) -> str:
        """What a pin would say."""
        return read_leaf_file(self.cert_file).key_sha256


class Certificates:
    """An authority, what it signed, and what it should not have."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        now = dt.datetime.now(dt.UTC)
        authority, stranger = trustme.CA(), trustme.CA()
        self._authority = authority
        self.ca_file = self._write("ca.pem", authority.cert_pem.bytes())
        self.other_ca_file = self._write("other-ca.pem", stranger.cert_pem.bytes())
        here = ("localhost", "127.0.0.1")
        self.server = self._keep("server", authority.issue_cert(*here))
        self.renewed = self._keep("renewed", authority.issue_cert(*here))
        self.client = self._keep("client", authority.issue_cert("town@example.org"))
        self.other_client = self._keep("other-client", stranger.issue_cert("town@example.org"))
        self.untrusted = self._keep("untrusted", stranger.issue_cert(*here))
        self.wrong_host = self._keep("wrong-host", authority.issue_cert("elsewhere.example"))
        self.expired = self._keep(
            "expired", authority.issue_cert(*here, not_before=now - 9 * _DAY, not_after=now - _DAY)
        )
        self.not_yet_valid = self._keep(
            "not-yet-valid", authority.issue_cert(*here, not_before=now + _DAY, not_after=now + 9 * _DAY)
        )
        self.common_name_only = self._sign_common_name("common-name-only", "localhost")
        self.revoked = self._keep("revoked", authority.issue_cert(*here))
        self.revoked_client = self._keep("revoked-client", authority.issue_cert("town@example.org"))
        self.crl_file = self._revoke("crl.pem", now - _DAY, now + _DAY)
        self.old_crl_file = self._revoke("old-crl.pem", now - 9 * _DAY, now - _DAY)

    def trusting(self, **settings: object) -> TlsSettings:
        """Settings of a client that trusts the authority."""
        return TlsSettings(**{"ca_file": self.ca_file, **settings})  # type: ignore[arg-type]  # as given

    def serving(self, pair: Pair | None = None, **settings: object) -> ssl.SSLContext:
        """A server that shows one of the certificates."""
        shown = pair or self.server
        return server_context(ServerTlsSettings(shown.cert_file, shown.key_file, **settings))  # type: ignore[arg-type]  # as given

    def _keep(self, name: str, leaf: trustme.LeafCert) -> Pair:
        chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
        return Pair(
            self._write(f"{name}.pem", chain), self._write(f"{name}.key", leaf.private_key_pem.bytes(), 0o600)
        )

    def _write(self, name: str, data: bytes, mode: int = 0o644) -> Path:
        path = self._folder / name
        path.write_bytes(data)
        path.chmod(mode)
        return path

    def _signer(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        certificate = x509.load_pem_x509_certificate(self._authority.cert_pem.bytes())
        key = serialization.load_pem_private_key(self._authority.private_key_pem.bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return certificate, key

    def _sign_common_name(self, name: str, common_name: str) -> Pair:
        issuer, signer = self._signer()
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)]))
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
            )
            .sign(signer, hashes.SHA256())
        )
        spelled = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Pair(
            self._write(f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM)),
            self._write(f"{name}.key", spelled, 0o600),
        )

    def _revoke(self, name: str, issued: dt.datetime, until: dt.datetime) -> Path:
        issuer, signer = self._signer()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.subject)
            .last_update(issued)
            .next_update(until)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
            )
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        for pair in (self.revoked, self.revoked_client):
            leaf = x509.load_pem_x509_certificate(pair.cert_file.read_bytes())
            entry = x509.RevokedCertificateBuilder().serial_number(leaf.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(issued).build())
        revoked = builder.sign(signer, hashes.SHA256())
        return self._write(name, revoked.public_bytes(serialization.Encoding.PEM))
