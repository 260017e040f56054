"""The files of `mqtt.tls`: the certificate, its key, and the passphrase of the key."""

import codecs
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from edgepub.config.load import load_settings
from edgepub.core.errors import ConfigurationError
from tests.support.waiting import WAIT_S

PASSPHRASE = "open sésame"


class Files:
    """A certificate, its key with a passphrase and without, and another key."""

    def __init__(self, directory):
        self._dir = directory
        authority = trustme.CA()
        ours, other = authority.issue_cert("edge"), authority.issue_cert("other")
        self.authority = self.write("ca.pem", authority.cert_pem.bytes())
        self.certificate = self.write("edge.pem", ours.cert_chain_pems[0].bytes())
        self.key = self.write("edge.key", ours.private_key_pem.bytes())
        self.other_key = self.write("other.key", other.private_key_pem.bytes())
        self._private = serialization.load_pem_private_key(ours.private_key_pem.bytes(), None)
        self.locked_key = self.lock("locked.key", PrivateFormat.PKCS8)
        self.passphrase = self.write("passphrase", f"{PASSPHRASE}\n".encode())

    def lock(self, name, form):
        """Return the key in another file, with a passphrase."""
        encryption = BestAvailableEncryption(PASSPHRASE.encode())
        return self.write(name, self._private.private_bytes(Encoding.PEM, form, encryption))

    def write(self, name, content):
        path = self._dir / name
        path.write_bytes(content)
        return str(path)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@pytest.fixture
def load(tmp_path):
    """Return a function that loads a configuration with these keys of `mqtt.tls`."""

    def run(**tls):
        path = tmp_path / "edgepub.yaml"
        content = {
            "mqtt": {"url": "mqtts://127.0.0.1:8883", "tls": tls},
            "models": {"m": {"model_name": "m", "zoo_url": "a/b"}},
            "cameras": {"porch": {"source": 0, "model": "m"}},
        }
        path.write_text(yaml.safe_dump(content))
        return load_settings(path)

    return run


@pytest.fixture
def mistake(load, tmp_path):
    """Return a function that returns the only mistake of these keys."""

    def run(**tls):
        with pytest.raises(ConfigurationError) as caught:
            load(**tls)
        (line,) = caught.value.mistakes
        assert PASSPHRASE not in line
        return line.removeprefix(f"{tmp_path / 'edgepub.yaml'}: ")

    return run


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_key_with_a_passphrase(files, load, form):
    key = files.lock("any.key", form)
    assert load(cert_file=files.certificate, key_file=key, key_password_file=files.passphrase)


def test_a_key_in_the_file_of_the_certificate(files, load, mistake):
    both = files.write("both.pem", Path(files.locked_key).read_bytes() + Path(files.certificate).read_bytes())
    assert load(cert_file=both, key_password_file=files.passphrase)
    assert mistake(cert_file=both).startswith("mqtt.tls.cert_file: the key has a passphrase: ")


def test_a_passphrase_that_is_not_needed_does_no_harm(files, load):
    assert load(cert_file=files.certificate, key_file=files.key, key_password_file=files.passphrase)


def test_the_passphrase_may_have_a_byte_order_mark(files, load):
    with_bom = files.write("with-bom", f"{PASSPHRASE}\r\n".encode("utf-8-sig"))
    assert load(cert_file=files.certificate, key_file=files.locked_key, key_password_file=with_bom)


def test_a_missing_passphrase(files, mistake):
    line = mistake(cert_file=files.certificate, key_file=files.locked_key)
    assert line.startswith("mqtt.tls.key_file: the key has a passphrase: ")
    assert "mqtt.tls.key_password_file" in line
    assert line.endswith(f": {files.locked_key}")


@pytest.mark.parametrize(
    "content",
    [b"wrong", b"", b"\n", b"x" * 2000, b"\xff\xfeo\0p\0", b"\xff", PASSPHRASE.encode() + b" ", b"a\nb"],
    ids=["wrong", "empty", "empty line", "long", "UTF-16", "binary", "a space more", "two lines"],
)
def test_a_passphrase_that_is_wrong(files, mistake, content):
    path = files.write("wrong", content)
    line = mistake(cert_file=files.certificate, key_file=files.locked_key, key_password_file=path)
    assert line.startswith("mqtt.tls.key_password_file: ")
    assert line.endswith(f": {path}")


def test_other_mistakes(files, mistake, tmp_path):
    damaged = files.write("damaged", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    certificate = files.certificate
    assert mistake(ca_file=damaged).startswith("mqtt.tls.ca_file: contains a damaged certificate: ")
    assert mistake(cert_file=damaged, key_file=files.key).endswith(files.key)
    assert mistake(ca_file=files.key).startswith("mqtt.tls.ca_file: contains no certificate in PEM format: ")
    assert mistake(cert_file=files.key).startswith("mqtt.tls.cert_file: contains no certificate in PEM format: ")
    assert mistake(cert_file=certificate).startswith("mqtt.tls.cert_file: contains no private key in PEM format: ")
    no_key = "mqtt.tls.key_file: contains no private key in PEM format: "
    assert mistake(cert_file=certificate, key_file=certificate).startswith(no_key)
    utf_16 = files.write("utf-16", Path(files.key).read_text().encode("utf-16"))
    assert mistake(cert_file=certificate, key_file=utf_16).startswith(no_key)
    with_bom = files.write("with-bom", codecs.BOM_UTF8 + Path(certificate).read_bytes())
    assert "byte order mark" in mistake(cert_file=with_bom, key_file=files.key)
    cut = files.write("cut", Path(files.locked_key).read_bytes()[:200])
    assert mistake(cert_file=certificate, key_file=cut).startswith("mqtt.tls.key_file: is damaged, or ")
    directory = str(tmp_path / "directory")
    Path(directory).mkdir()
    assert mistake(cert_file=directory, key_file=files.key).startswith("mqtt.tls.cert_file: cannot be read: ")
    assert "is not the key of the certificate" in mistake(cert_file=certificate, key_file=files.other_key)
    assert mistake(key_password_file=files.passphrase).startswith("mqtt.tls: key_password_file needs cert_file")
    assert "no such file" in mistake(
        cert_file=certificate, key_file=files.locked_key, key_password_file=str(tmp_path / "none")
    )


def test_nothing_is_asked_on_the_terminal(files, tmp_path, load):
    """OpenSSL would ask for the passphrase, and wait; whatever command it is that reads the key."""
    with pytest.raises(ConfigurationError):
        load(cert_file=files.certificate, key_file=files.locked_key)
    terminal, inside = os.openpty()
    command = ["setsid", "--ctty", "--wait", sys.executable, "-m", "edgepub"]
    for words in (["check"], ["run"], ["watch"], ["discovery", "--purge"]):
        done = subprocess.run(
            [*command, *words, "-c", tmp_path / "edgepub.yaml"],
            stdin=inside, capture_output=True, timeout=WAIT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 78
        assert b"key_password_file" in done.stderr
    os.set_blocking(terminal, False)
    with pytest.raises(BlockingIOError):
        os.read(terminal, 1000)
    os.close(terminal)
    os.close(inside)
