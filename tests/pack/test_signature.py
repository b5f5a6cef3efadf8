"""Signatures are those of RFC 8032 and of OpenSSL; a changed byte, another key and a wrong kind of key are refused."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from projgraph.__main__ import main
from projgraph.errors import InputError, MissingExtraError, ModelFileError, OutputError, SignatureError
from projgraph.pack import signature as signing
from projgraph.pack.bundle import bundle_bytes
from projgraph.pack.projection import ProjectionSpec

from ..core.reference_head import random_file

SPEC = ProjectionSpec.for_text(bits=64, seen_slots_log2=4)
# RFC 8032, section 7.1, test 3: secret key, public key, message, signature.
RFC_SECRET = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"
RFC_PUBLIC = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
RFC_MESSAGE = "af82"
RFC_SIGNATURE = (
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)


def private_pem(key: object, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def public_pem(key: object) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.pgb"
    path.write_bytes(random_file(SPEC))
    return path


@pytest.fixture
def pair(tmp_path: Path) -> signing.KeyPair:
    return signing.new_key(tmp_path / "maker.pem")


def test_the_vector_of_the_rfc(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(RFC_SECRET))
    (tmp_path / "key.pem").write_bytes(private_pem(key))
    (tmp_path / "key.pub.pem").write_bytes(public_pem(key))
    message = tmp_path / "message"
    message.write_bytes(bytes.fromhex(RFC_MESSAGE))
    assert signing._private_key(tmp_path / "key.pem").sign(message.read_bytes()).hex() == RFC_SIGNATURE
    signing.signature_path(message).write_bytes(bytes.fromhex(RFC_SIGNATURE))
    found = signing.verify(message, tmp_path / "key.pub.pem")
    assert (found.bytes, found.public_key) == (2, RFC_PUBLIC)


def test_a_signature_is_64_bytes_beside_the_model_and_the_same_each_time(model: Path, pair: signing.KeyPair) -> None:
    signed = signing.sign(model, pair.private)
    assert signed == signing.Signed(model.with_name("model.pgb.sig"), model.stat().st_size, pair.public_key)
    first = signed.signature.read_bytes()
    assert len(first) == 64
    signing.sign(model, pair.private)
    assert signed.signature.read_bytes() == first
    assert signing.verify(model, pair.public) == signed


def test_a_bundle_is_signed_too_and_the_signature_may_lie_elsewhere(tmp_path: Path, pair: signing.KeyPair) -> None:
    bundle, other = tmp_path / "both.pgb", tmp_path / "elsewhere"
    bundle.write_bytes(bundle_bytes({"a": random_file(SPEC, 0), "b": random_file(SPEC, 1)}))
    assert signing.sign(bundle, pair.private, other).signature == other
    assert signing.verify(bundle, pair.public, other).bytes == bundle.stat().st_size
    assert not signing.signature_path(bundle).exists()


def test_openssl_verifies_and_its_keys_sign(model: Path, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl on this machine")

    def run(*arguments: object) -> str:
        done = subprocess.run([openssl, *map(str, arguments)], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    run("genpkey", "-algorithm", "ed25519", "-out", key)
    run("pkey", "-in", key, "-pubout", "-out", public)
    signed = signing.sign(model, key)
    check = ("pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", model, "-sigfile", signed.signature)
    assert "Signature Verified Successfully" in run(*check)
    signing.verify(model, public)
    model.write_bytes(model.read_bytes()[:-1])
    assert "Signature Verification Failure" in run(*check)


@pytest.mark.parametrize("at", [0, 8, 12, 100, -1])
def test_one_bit_of_the_file_off(model: Path, pair: signing.KeyPair, at: int) -> None:
    signing.sign(model, pair.private)
    data = bytearray(model.read_bytes())
    data[at] ^= 1
    model.write_bytes(data)
    with pytest.raises(SignatureError, match=r"model\.pgb is not what was signed: .*model\.pgb\.sig does not fit its"):
        signing.verify(model, pair.public)


@pytest.mark.parametrize("change", [lambda data: data + b"\0", lambda data: data[:-1], lambda data: b""])
def test_bytes_too_many_or_too_few(model: Path, pair: signing.KeyPair, change: Callable[[bytes], bytes]) -> None:
    signing.sign(model, pair.private)
    model.write_bytes(change(model.read_bytes()))
    with pytest.raises(SignatureError, match="do not use the file: fetch it and its signature again"):
        signing.verify(model, pair.public)


@pytest.mark.parametrize("at", range(0, 64, 9))
def test_one_bit_of_the_signature_off(model: Path, pair: signing.KeyPair, at: int) -> None:
    path = signing.sign(model, pair.private).signature
    data = bytearray(path.read_bytes())
    data[at] ^= 0x80
    path.write_bytes(data)
    with pytest.raises(SignatureError, match="is not what was signed"):
        signing.verify(model, pair.public)


@pytest.mark.parametrize(("length", "said"), [(0, "0"), (63, "63"), (65, "more than 64"), (1000, "more than 64")])
def test_a_signature_of_another_length(model: Path, pair: signing.KeyPair, length: int, said: str) -> None:
    signing.signature_path(model).write_bytes(bytes(length))
    expected = rf"model\.pgb\.sig has {said} bytes; expected the 64 of an Ed25519 signature"
    with pytest.raises(SignatureError, match=expected):
        signing.verify(model, pair.public)


def test_a_signature_of_zeros_and_one_of_another_model(model: Path, pair: signing.KeyPair, tmp_path: Path) -> None:
    signing.signature_path(model).write_bytes(bytes(64))
    with pytest.raises(SignatureError, match="is not what was signed"):
        signing.verify(model, pair.public)
    other = tmp_path / "other.pgb"
    other.write_bytes(random_file(SPEC, 1))
    signing.sign(other, pair.private, signing.signature_path(model))
    with pytest.raises(SignatureError, match="is not what was signed"):
        signing.verify(model, pair.public)


def test_another_key(model: Path, pair: signing.KeyPair, tmp_path: Path) -> None:
    signing.sign(model, pair.private)
    other = signing.new_key(tmp_path / "other.pem")
    with pytest.raises(SignatureError, match=r"and the key .*other\.pub\.pem; .* check that the key is the signer's"):
        signing.verify(model, other.public)


def keys_of_other_kinds() -> dict[str, object]:
    return {
        "RSA": rsa.generate_private_key(65537, 2048),
        "EC": ec.generate_private_key(ec.SECP256R1()),
        "X25519": x25519.X25519PrivateKey.generate(),
        "Ed448": ed448.Ed448PrivateKey.generate(),
    }


def test_keys_of_other_kinds(model: Path, pair: signing.KeyPair, tmp_path: Path) -> None:
    signing.sign(model, pair.private)
    for kind, key in keys_of_other_kinds().items():
        (tmp_path / "wrong.pem").write_bytes(private_pem(key))
        (tmp_path / "wrong.pub.pem").write_bytes(public_pem(key))
        expected = rf"wrong.*\.pem holds a key of another kind \({kind}\); expected Ed25519: projgraph sign --new-key"
        with pytest.raises(InputError, match=expected):
            signing.sign(model, tmp_path / "wrong.pem")
        with pytest.raises(InputError, match=expected):
            signing.verify(model, tmp_path / "wrong.pub.pem")


def test_the_wrong_half_of_a_pair(model: Path, pair: signing.KeyPair) -> None:
    with pytest.raises(InputError, match=r"maker\.pub\.pem holds a public key; expected the private one"):
        signing.sign(model, pair.public)
    signing.sign(model, pair.private)
    with pytest.raises(InputError, match=r"maker\.pem holds a private key; expected the public one, .* stays with"):
        signing.verify(model, pair.private)


def test_a_key_with_a_password(model: Path, tmp_path: Path) -> None:
    (tmp_path / "locked.pem").write_bytes(private_pem(Ed25519PrivateKey.generate(), b"secret"))
    with pytest.raises(
        InputError, match=r"locked\.pem is encrypted; expected a private key without a password: openssl"
    ):
        signing.sign(model, tmp_path / "locked.pem")


@pytest.mark.parametrize(
    "content", [b"", b"\0\xff" * 40, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_files_that_are_no_keys(model: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "none.pem").write_bytes(content)
    with pytest.raises(InputError, match=r"none\.pem holds no private key in PEM; expected one of projgraph sign"):
        signing.sign(model, tmp_path / "none.pem")
    (tmp_path / "none.pem").write_bytes(content.replace(b"PRIVATE", b"PUBLIC"))
    signing.signature_path(model).write_bytes(bytes(64))
    with pytest.raises(InputError, match=r"none\.pem holds no public key in PEM; expected NAME\.pub\.pem"):
        signing.verify(model, tmp_path / "none.pem")


def test_files_that_are_missing(model: Path, pair: signing.KeyPair, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"cannot read '.*no\.pem': No such file.*; expected the file of a private key"
    ):
        signing.sign(model, tmp_path / "no.pem")
    with pytest.raises(InputError, match=r"cannot read '.*model\.pgb\.sig': No such file.* the file of a signature"):
        signing.verify(model, pair.public)
    with pytest.raises(InputError, match=r"cannot read '.*no\.pgb': No such file.*; expected a \.pgb model file"):
        signing.sign(tmp_path / "no.pgb", pair.private)


@pytest.mark.parametrize("folder", [".", "/"])
def test_a_path_without_a_name_is_a_folder(pair: signing.KeyPair, folder: str) -> None:
    message = rf"cannot read '{folder}': it is a folder; expected a \.pgb model file"
    with pytest.raises(InputError, match=message):
        signing.sign(Path(folder), pair.private)
    with pytest.raises(InputError, match=message):
        signing.verify(Path(folder), pair.public)


def test_only_models_are_signed(pair: signing.KeyPair, model: Path) -> None:
    data = model.read_bytes()
    model.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ModelFileError, match=r"model\.pgb: .*\(PG_BAD_CHECKSUM\)"):
        signing.sign(model, pair.private)
    assert not signing.signature_path(model).exists()


def test_a_signature_replaces_neither_model_nor_key(pair: signing.KeyPair, model: Path) -> None:
    before = model.read_bytes(), pair.private.read_bytes()
    for target in (model, pair.private):
        with pytest.raises(OutputError, match="it is a file that is read; expected another path for the output"):
            signing.sign(model, pair.private, target)
    assert (model.read_bytes(), pair.private.read_bytes()) == before


def test_a_private_key_is_its_owners_alone_and_never_replaced(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        pair = signing.new_key(tmp_path / "maker.pem")
    finally:
        os.umask(old)
    assert pair.public == tmp_path / "maker.pub.pem"
    assert stat.S_IMODE(pair.private.stat().st_mode) == 0o600
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(OutputError, match=r"maker\.pem: there is such a file already, and it is not replaced"):
        signing.new_key(tmp_path / "maker.pem")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert set(before) == {"maker.pem", "maker.pub.pem"}


def test_a_public_key_in_the_way_leaves_no_private_one(tmp_path: Path) -> None:
    (tmp_path / "maker.pub.pem").write_text("somebody else's")
    with pytest.raises(OutputError, match=r"maker\.pub\.pem: there is such a file already"):
        signing.new_key(tmp_path / "maker.pem")
    assert [path.name for path in tmp_path.iterdir()] == ["maker.pub.pem"]


def test_no_private_key_is_left_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "maker.pub.pem").write_text("somebody else's")
    (tmp_path / "maker.pem").symlink_to(tmp_path / "secret.pem")
    with pytest.raises(OutputError, match=r"maker\.pub\.pem: there is such a file already"):
        signing.new_key(tmp_path / "maker.pem")
    assert {path.name for path in tmp_path.iterdir()} == {"maker.pem", "maker.pub.pem"}
    assert (tmp_path / "maker.pem").is_symlink(), "the link was there before"


def test_two_pairs_differ(tmp_path: Path) -> None:
    assert signing.new_key(tmp_path / "a.pem").public_key != signing.new_key(tmp_path / "b.pem").public_key


def test_without_the_package_the_command_to_install_it_is_told(
    model: Path, pair: signing.KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for call in (
        lambda: signing.new_key(tmp_path / "new.pem"),
        lambda: signing.sign(model, pair.private),
        lambda: signing.verify(model, pair.public),
    ):
        with pytest.raises(MissingExtraError, match=r"not installed: pip install 'projgraph\[sign\]'"):
            call()
    assert not (tmp_path / "new.pem").exists()


# ------------------------------------------------------------------------------------------------------ by the commands


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["projgraph", *map(str, arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main()
    return (stopped.value.code, *capsys.readouterr())


def test_the_commands_from_a_new_key_to_a_damaged_file(model, tmp_path, monkeypatch, capsys):
    def command(*arguments: object) -> tuple[int, str, str]:
        return run(monkeypatch, capsys, *arguments)

    status, out, _ = command("sign", "--new-key", tmp_path / "maker.pem", "--json")
    made = json.loads(out)
    assert (status, set(made)) == (0, {"private", "public", "public_key"})
    status, out, _ = command("sign", model, "--key", tmp_path / "maker.pem", "--json")
    signed = json.loads(out)
    assert status == 0
    assert signed == {
        "model": str(model),
        "bytes": model.stat().st_size,
        "signature": f"{model}.sig",
        "public_key": made["public_key"],
    }
    status, out, err = command("verify", model, "--key", tmp_path / "maker.pub.pem", "--json")
    assert (status, json.loads(out), err) == (0, signed, "")
    status, out, _ = command("verify", model, "--key", tmp_path / "maker.pub.pem")
    assert status == 0
    assert "verified" in out
    model.write_bytes(model.read_bytes() + b"\0")
    status, out, err = command("verify", model, "--key", tmp_path / "maker.pub.pem")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"projgraph: {model} is not what was signed: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("sign",),
        ("sign", "model.pgb"),
        ("sign", "--key", "k.pem"),
        ("sign", "model.pgb", "--new-key", "k.pem"),
        ("sign", "model.pgb", "--key", "k.pem", "--new-key", "n.pem"),
        ("sign", "--new-key", "n.pem", "--signature", "s"),
    ],
)
def test_options_that_do_not_fit_together(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(monkeypatch, capsys, *arguments)
    assert (status, out) == (2, "")
    assert err == (
        "projgraph: give MODEL.pgb --key KEY.pem to sign a model, or --new-key KEY.pem alone to make a key pair\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_key_to_verify_by_is_asked_for(model, monkeypatch, capsys):
    status, out, err = run(monkeypatch, capsys, "verify", model)
    assert (status, out) == (2, "")
    assert "Missing option '--key'" in err
