"""Builds strict TLS contexts for both ends and both protocols.

Every call reads the files again, so a caller that builds a context for each connection uses renewed
certificates. There is no switch that turns verification off.
"""

import errno
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from townlet_adapters.files import open_regular
from townlet_adapters.secrets import exposure_of
from townlet_adapters.telemetry.wire.certificates import MOST_PEM_BYTES, Leaf, read_leaf, read_leaf_file
from townlet_adapters.telemetry.wire.versions import OLDEST_TLS, TlsVersion
from townlet_core.errors import ConfigError, Problem
from townlet_plugins.allowlist import DIGEST

_VERSIONS: Final[Mapping[str, ssl.TLSVersion]] = {
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """TLS of an end that connects.

    Attributes:
        ca_file: PEM file with the authorities to trust instead of the system's; None for the system's.
        cert_file: PEM file with the own certificate and its chain, for a server that asks for one.
        key_file: PEM file with its private key, not encrypted, readable by this user only.
        crl_file: PEM file with revocation lists; every server must then be covered by a current one.
        min_version: oldest version of TLS to accept.
        key_sha256: SHA-256 in hex of public keys (DER of SubjectPublicKeyInfo); the server must have one of
            them, in addition to a valid certificate; two while a key is changed; empty for any key.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    crl_file: Path | None = None
    min_version: TlsVersion = OLDEST_TLS
    key_sha256: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerTlsSettings:
    """TLS of an end that listens.

    Attributes:
        cert_file: PEM file with the own certificate and its chain.
        key_file: PEM file with its private key, not encrypted, readable by this user only.
        client_ca_file: PEM file with the authorities that must have signed the certificate of a client; None
            when clients need no certificate.
        crl_file: PEM file with revocation lists; every client must then be covered by a current one.
        min_version: oldest version of TLS to accept.
    """

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None
    crl_file: Path | None = None
    min_version: TlsVersion = OLDEST_TLS


class _Socket(ssl.SSLSocket):
    """A socket that is closed when the connection is reset while TLS takes it over.

    ``wrap_socket`` takes the descriptor from the socket that it is given, and before Python 3.13 it raises
    without closing it when it finds a connection that was reset. No other object can close it then.
    """

    _is_taken_over = False

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as the ssl module has it
        self._is_taken_over = True
        super().do_handshake(block)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except OSError as error:
            # wrap_socket finds a reset connection by this call, and it handles ENOTCONN itself.
            if not self._is_taken_over and error.errno != errno.ENOTCONN:
                self.close()
            raise


def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """Build the context of one connection to a server; the caller checks the pin after the handshake.

    Raises:
        ConfigError: when a file or a value of the settings cannot be used.
    """
    context = _strict(ssl.PROTOCOL_TLS_CLIENT, settings.min_version)
    context.check_hostname = True
    context.hostname_checks_common_name = False
    if settings.ca_file is None:
        trust_system(context, ssl.get_default_verify_paths())
    else:
        _trust(context, settings.ca_file, "tls.ca_file")
    if settings.crl_file is not None:
        _revoke(context, settings.crl_file)
    if settings.cert_file is not None and settings.key_file is not None:
        _identify(context, settings.cert_file, settings.key_file)
    elif settings.cert_file is not None or settings.key_file is not None:
        missing = "tls.key_file" if settings.key_file is None else "tls.cert_file"
        raise _problem(
            missing, "is missing", "a client certificate needs both tls.cert_file and tls.key_file"
        )
    for pin in settings.key_sha256:
        if not re.fullmatch(DIGEST, pin):
            raise _problem("tls.key_sha256", "is not a SHA-256", "64 hex digits in lower case for each key")
    return context


def server_context(settings: ServerTlsSettings) -> ssl.SSLContext:
    """Build the context of a server's connections.

    Raises:
        ConfigError: when a file or a value of the settings cannot be used.
    """
    context = _strict(ssl.PROTOCOL_TLS_SERVER, settings.min_version)
    if settings.client_ca_file is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _trust(context, settings.client_ca_file, "tls.client_ca_file")
    if settings.crl_file is not None:
        if settings.client_ca_file is None:
            raise _problem("tls.crl_file", "revokes nothing", "give tls.client_ca_file, too, or leave it out")
        _revoke(context, settings.crl_file)
    _identify(context, settings.cert_file, settings.key_file)
    return context


def peer_leaf(connection: ssl.SSLSocket | ssl.SSLObject) -> Leaf | None:
    """Read the peer's verified certificate; None when it has sent none.

    Raises:
        ValueError: when it cannot be read.
    """
    der = connection.getpeercert(binary_form=True)
    return None if der is None else read_leaf(der)


def own_leaf(settings: TlsSettings | ServerTlsSettings) -> Leaf | None:
    """Read the own certificate; None when there is none.

    Raises:
        ConfigError: when it cannot be read.
    """
    if settings.cert_file is None:
        return None
    try:
        return read_leaf_file(settings.cert_file)
    except (OSError, ValueError) as error:
        raise _unusable(
            "tls.cert_file", settings.cert_file, error, "a PEM file with a certificate"
        ) from error


def _strict(protocol: int, min_version: str) -> ssl.SSLContext:
    # Not create_default_context: that writes the secrets of every connection to the file in SSLKEYLOGFILE.
    # Its other settings for a client are the defaults of PROTOCOL_TLS_CLIENT.
    context = ssl.SSLContext(protocol)
    context.sslsocket_class = _Socket
    if min_version not in _VERSIONS:
        raise _problem(
            "tls.min_version", f"is '{min_version}'", "1.3, or 1.2 for a peer that supports no later version"
        )
    context.minimum_version = _VERSIONS[min_version]
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def trust_system(context: ssl.SSLContext, paths: ssl.DefaultVerifyPaths) -> None:
    """Trust the authorities of the system, which are where OpenSSL was built to look for them.

    ``load_default_certs`` obeys ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``: with these, the environment of a
    process could make any server trusted.

    Args:
        context: the context of a client.
        paths: where the authorities are; only the paths without the environment count.
    """
    file, folder = Path(paths.openssl_cafile), Path(paths.openssl_capath)
    if file.is_file():
        context.load_verify_locations(cafile=file)
    if folder.is_dir():
        context.load_verify_locations(capath=folder)


def _trust(context: ssl.SSLContext, path: Path, key: str) -> None:
    _load(context, path, key, "a PEM file with certificates of authorities")
    stats = context.cert_store_stats()
    if not stats["x509"] or stats["crl"]:
        raise _problem(key, f"'{path}' has other content", "certificates of authorities, and nothing else")


def _revoke(context: ssl.SSLContext, path: Path) -> None:
    before = context.cert_store_stats()
    _load(context, path, "tls.crl_file", "a PEM file with revocation lists")
    after = context.cert_store_stats()
    # A certificate in this file would become an authority.
    if after["crl"] == before["crl"] or after["x509"] != before["x509"]:
        raise _problem("tls.crl_file", f"'{path}' has other content", "revocation lists, and nothing else")
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _load(context: ssl.SSLContext, path: Path, key: str, allowed: str) -> None:
    try:
        _check_pem(path)
        context.load_verify_locations(cafile=path)
    except OSError as error:
        raise _unusable(key, path, error, allowed) from error


def _identify(context: ssl.SSLContext, cert_file: Path, key_file: Path) -> None:
    try:
        _check_pem(cert_file)
    except OSError as error:
        raise _unusable("tls.cert_file", cert_file, error, "a PEM file with a certificate") from error
    try:
        _check_private(_check_pem(key_file), key_file)
        context.load_cert_chain(cert_file, key_file, password=_refuse_to_decrypt)
    except _EncryptedKeyError as error:
        allowed = "a key that is not encrypted, in a file only you can read: openssl pkey -in OLD -out NEW"
        raise _problem("tls.key_file", f"'{key_file}' is encrypted", allowed) from error
    except OSError as error:
        # OpenSSL does not report which of the two it could not read.
        _require_certificate(cert_file)
        raise _unusable_key(key_file, error) from error


def _require_certificate(path: Path) -> None:
    """Check that a file has certificates and that all of them can be read."""
    allowed = "a PEM file with the own certificate and its chain"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise _problem("tls.cert_file", f"'{path}' has no certificate that can be read", allowed) from error
    except OSError as error:
        raise _unusable("tls.cert_file", path, error, allowed) from error
    if not context.cert_store_stats()["x509"]:
        raise _problem("tls.cert_file", f"'{path}' has no certificate", allowed)


def _unusable_key(path: Path, error: OSError) -> ConfigError:
    allowed = "the PEM file with the private key of tls.cert_file"
    if not isinstance(error, ssl.SSLError):
        return _unusable("tls.key_file", path, error, allowed)
    if error.reason == "KEY_VALUES_MISMATCH":
        return _problem("tls.key_file", f"'{path}' is the key of another certificate", allowed)
    if not error.reason:
        return _problem("tls.key_file", f"'{path}' has no private key that can be read", allowed)
    return _unusable("tls.key_file", path, error, allowed)


class _EncryptedKeyError(Exception):
    """The key needs a password, and there is no terminal to ask for one."""


def _refuse_to_decrypt() -> bytes:
    raise _EncryptedKeyError


def _check_pem(path: Path) -> os.stat_result:
    """Check that a path leads to a regular file of a bounded size; OpenSSL opens it by its path afterwards.

    Raises:
        OSError: when it does not.
    """
    with open_regular(path) as descriptor:
        status = os.fstat(descriptor)
    if status.st_size > MOST_PEM_BYTES:
        raise OSError(errno.EFBIG, f"Is larger than {MOST_PEM_BYTES} bytes", str(path))
    return status


def _check_private(status: os.stat_result, path: Path) -> None:
    exposure = exposure_of(path, status)
    if exposure is not None:
        raise _problem("tls.key_file", f"'{path}' {exposure.found}", exposure.allowed)


def _problem(key: str, found: str, allowed: str) -> ConfigError:
    return ConfigError(Problem(key, found, allowed))


def _unusable(key: str, path: Path, error: OSError | ValueError, allowed: str) -> ConfigError:
    reason = str(error)
    if isinstance(error, ssl.SSLError):
        reason = error.reason or reason
    elif isinstance(error, OSError):
        reason = error.strerror or reason
    return _problem(key, f"'{path}' cannot be used: {reason}", allowed)
