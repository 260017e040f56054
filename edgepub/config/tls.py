"""Makes the TLS context for the broker, and explains which of its files is wrong."""

import codecs
import re
import ssl
from pathlib import Path

from edgepub.config.mqtt import TlsSettings
from edgepub.config.secrets import read_secret
from edgepub.core.redaction import redact_line

_CERTIFICATE, _KEY = "CERTIFICATE", "PRIVATE KEY"
_MAX_PASSPHRASE_BYTES = 1024  # the limit of OpenSSL


class TlsFileError(Exception):
    """A file of `mqtt.tls` cannot be used. The text is one line without the key.

    Attributes:
        key: the key of the file, `key_file` for example.

    """

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def make_tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """Read the files and return the context. This may take seconds: a passphrase is slow on purpose.

    Raises:
        TlsFileError: one of the files cannot be used.

    """
    _check_pem("ca_file", tls.ca_file, _CERTIFICATE)
    _check_pem("cert_file", tls.cert_file, _CERTIFICATE, *([] if tls.key_file else [_KEY]))
    _check_pem("key_file", tls.key_file, _KEY)
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise TlsFileError("ca_file", f"contains a damaged certificate: {_describe(error)}: {tls.ca_file}") from None
    if tls.cert_file:
        _load_certificate(context, tls.cert_file, tls)
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_certificate(context: ssl.SSLContext, cert_file: Path, tls: TlsSettings) -> None:
    key, path = ("key_file", tls.key_file) if tls.key_file else ("cert_file", cert_file)
    has_passphrase = False

    def passphrase() -> str:
        """Return the passphrase. OpenSSL itself would ask for it on the terminal, and wait."""
        nonlocal has_passphrase
        has_passphrase = True
        if tls.key_password_file is None:
            text = "the key has a passphrase: put that into a file, and name the file in mqtt.tls.key_password_file"
            raise TlsFileError(key, f"{text}: {path}")
        return _read_passphrase(tls.key_password_file)

    try:
        context.load_cert_chain(cert_file, tls.key_file, passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsFileError(key, f"is not the key of the certificate in {cert_file}: {path}") from None
        if has_passphrase:
            text = (
                f"does not contain the passphrase of the key in {path}, or that is encrypted by an old method like DES"
            )
            raise TlsFileError("key_password_file", f"{text}: {tls.key_password_file}") from None
        raise TlsFileError(key, f"is damaged, or the certificate in {cert_file} is: {path}") from None
    except OSError as error:  # the file has just been removed
        raise TlsFileError(key, f"cannot be read: {_describe(error)}: {path}") from None


def _read_passphrase(path: Path) -> str:
    try:
        passphrase = read_secret("passphrase", path)
    except ValueError as error:
        raise TlsFileError("key_password_file", str(error)) from None
    if not 1 <= len(passphrase.encode()) <= _MAX_PASSPHRASE_BYTES:
        text = f"must contain 1 to {_MAX_PASSPHRASE_BYTES} bytes, the passphrase and nothing else: {path}"
        raise TlsFileError("key_password_file", text)
    return passphrase


def _check_pem(key: str, path: Path | None, *blocks: str) -> None:
    """Check that a file contains these blocks: OpenSSL's own error does not say which file is wrong, or why."""
    if path is None:
        return
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TlsFileError(key, f"cannot be read: {error.strerror}: {path}") from None
    if content.startswith(codecs.BOM_UTF8):
        raise TlsFileError(key, f"begins with a byte order mark, which OpenSSL does not allow; remove it: {path}")
    for block in blocks:
        if not re.search(rf"^-----BEGIN [A-Z0-9 ]*{block}-----".encode(), content, re.MULTILINE):
            raise TlsFileError(key, f"contains no {block.lower()} in PEM format: {path}")


def _describe(error: OSError) -> str:
    """Return the text of an error without OpenSSL's codes and file names."""
    return redact_line(re.sub(r"^\[(SSL|X509|Errno)\b[^]]*\] |\s*\(_ssl\.c:\d+\)", "", str(error))).rstrip(".").lower()
