"""Network errors as codes, verdicts and helpful messages.

An error that a person must fix (a certificate, a pin) is a ``pause``; the others may go away by themselves.
"""

import errno
import ssl
from typing import Final

from townlet_core.ports.transport import INTERRUPTED, TransportError

_SOCKET: Final = {
    errno.ECONNREFUSED: ("refused", "nothing listens there: is the collector running, on this port?"),
    errno.EHOSTUNREACH: ("unreachable", "there is no route to it: check network and firewall"),
    errno.ENETUNREACH: ("unreachable", "there is no route to it: check network and firewall"),
    errno.ENETDOWN: ("unreachable", "the network is down"),
    errno.EHOSTDOWN: ("unreachable", "the host is down"),
    errno.EADDRNOTAVAIL: ("unreachable", "this machine has no address to reach it from"),
    errno.ETIMEDOUT: ("timeout", "it stopped answering: check network and collector"),
    errno.ECONNRESET: ("reset", "it reset the connection: see the collector's log"),
    errno.ECONNABORTED: ("reset", "the connection was aborted: see the collector's log"),
    errno.ENOTCONN: ("reset", "it reset the connection: see the collector's log"),
    errno.EPIPE: ("reset", "it reset the connection: see the collector's log"),
    errno.EMFILE: ("no_descriptors", "this process has too many files open: raise its limit"),
    errno.ENFILE: ("no_descriptors", "this machine has too many files open"),
}

# The numbers are X509_V_ERR_* of OpenSSL; the ssl module returns them without names.
_UNTRUSTED: Final = ("tls_untrusted", "check tls.ca_file: it must hold the authority that signed it")
_CRL: Final = ("tls_crl", "check tls.crl_file: it needs a current list of the authority that signed it")
_VERIFY: Final = {
    3: _CRL,
    8: _CRL,
    9: ("tls_not_yet_valid", "check the clocks of both machines"),
    10: ("tls_expired", "renew it at the collector"),
    11: _CRL,
    12: _CRL,
    23: ("tls_revoked", "install a new one at the collector, and find out why"),
    62: ("tls_hostname", "it is for another name: check the endpoint, or name it in the certificate"),
    64: ("tls_hostname", "it is for another address: check the endpoint, or name it in the certificate"),
}

_CLIENT_CERTIFICATE: Final = (
    "tls_client_certificate",
    "it refuses this sender's certificate: check tls.cert_file, and the authority the collector trusts",
)
_REFUSED_CERTIFICATE: Final = (
    "CERTIFICATE_REQUIRED",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNKNOWN_CA",
    "ALERT_ACCESS_DENIED",
)


def closed(peer: str) -> TransportError:
    """Return the error that the peer ended the connection."""
    return TransportError("closed", f"{peer} closed the connection: see the collector's log")


def timeout(peer: str, doing: str) -> TransportError:
    """Return the error that a deadline passed while doing something, such as ``connecting``."""
    message = f"{peer} did not answer in time, while {doing}: check network and collector"
    return TransportError("timeout", message)


def interrupted(peer: str) -> TransportError:
    """Return the error that ``interrupt`` was called."""
    return TransportError(INTERRUPTED, f"the exchange with {peer} was interrupted by this process")


def of_error(error: OSError, peer: str) -> TransportError:
    """Translate an error of a socket, or of TLS over it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code, advice = _VERIFY.get(error.verify_code, _UNTRUSTED)
        message = f"the certificate of {peer} was refused ({error.verify_message}): {advice}"
        return TransportError(code, message, verdict="pause")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return closed(peer)
    if isinstance(error, ssl.SSLError) and error.reason is not None:
        return _of_tls(error.reason, peer)
    number = error.errno or 0
    code, advice = _SOCKET.get(number, (errno.errorcode.get(number, "unknown").lower(), "check the network"))
    return TransportError(code, f"{peer}: {advice} ({error.strerror or type(error).__name__})")


def _of_tls(reason: str, peer: str) -> TransportError:
    if any(part in reason for part in _REFUSED_CERTIFICATE):
        code, advice = _CLIENT_CERTIFICATE
        return TransportError(code, f"{peer}: {advice} ({_words(reason)})", verdict="pause")
    if reason == "UNEXPECTED_EOF_WHILE_READING":
        return closed(peer)
    advice = "is it a TLS port, and does it speak TLS 1.3?"
    return TransportError("tls_protocol", f"TLS with {peer} failed ({_words(reason)}): {advice}")


def _words(reason: str) -> str:
    return reason.lower().replace("_", " ")
