"""`projgraph sign` and `projgraph verify`: options in, what was signed or verified out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from projgraph.console import AsJson, reported, show

if TYPE_CHECKING:
    from projgraph.pack.signature import Signed

Signature = Annotated[Path | None, typer.Option(metavar="FILE", help="the signature; default MODEL.pgb.sig")]


def sign(
    model: Annotated[Path | None, typer.Argument(metavar="MODEL.pgb", show_default=False)] = None,
    key: Annotated[Path | None, typer.Option(metavar="KEY.pem", help="the private key to sign with")] = None,
    new_key: Annotated[
        Path | None,
        typer.Option(metavar="KEY.pem", help="instead of signing, make a key pair: this file and KEY.pub.pem"),
    ] = None,
    signature: Signature = None,
    as_json: AsJson = False,
) -> None:
    """Sign a model file, so that a device can tell it from any other (Ed25519)."""
    with reported():
        from projgraph.errors import ConfigError
        from projgraph.pack import signature as signing

        if new_key is not None and model is None and key is None and signature is None:
            pair = signing.new_key(new_key)
            figures = {"private": str(pair.private), "public": str(pair.public), "public_key": pair.public_key}
            show(figures, as_json, f"new key {new_key}")
        elif new_key is None and model is not None and key is not None:
            signed = signing.sign(model, key, signature)
            _show(signed, model, as_json, "signed")
        else:
            raise ConfigError(
                "give MODEL.pgb --key KEY.pem to sign a model, or --new-key KEY.pem alone to make a key pair"
            )


def verify(
    model: Annotated[Path, typer.Argument(metavar="MODEL.pgb")],
    key: Annotated[Path, typer.Option(metavar="KEY.pub.pem", help="the signer's public key")],
    signature: Signature = None,
    as_json: AsJson = False,
) -> None:
    """Check a model file against its signature; exit status 2 unless it is, byte for byte, what was signed."""
    with reported():
        from projgraph.pack import signature as signing

        _show(signing.verify(model, key, signature), model, as_json, "verified")


def _show(signed: Signed, model: Path, as_json: bool, what: str) -> None:
    figures = {"model": str(model), "bytes": signed.bytes, "signature": str(signed.signature)}
    show({**figures, "public_key": signed.public_key}, as_json, f"{what} {model}")
