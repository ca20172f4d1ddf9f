#!/usr/bin/env python3
"""Verifies an export without a network: python3 verify_export.py export.tar public_key.pem

The key is `public_key` of GET /api/chat/exports/<id>/: the one in the archive proves nothing. Needs OpenSSL 3.
"""
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path


def verify(archive, key):
    unlisted, parts, entries, last, manifest, signature = [], 0, 0, "00" * 32, None, None
    for entry in archive:
        digest, head, content = hashlib.sha256(), b"", archive.extractfile(entry)
        is_manifest = entry.name.startswith(("manifest/", "manifest."))
        for block in iter(lambda: content.read(1 << 20), b""):
            digest.update(block)
            head += block if is_manifest else b""
        if entry.name.startswith("manifest/"):
            first, *lines = map(json.loads, head.decode().splitlines())
            assert first["previous"] == last, f"{entry.name}: another part was before it"
            assert lines == unlisted, f"{entry.name}: the entries before it aren't the listed ones"
            unlisted, parts, entries, last = [], parts + 1, entries + len(lines), digest.hexdigest()
        elif entry.name == "manifest.json":
            manifest = head
        elif entry.name == "manifest.sig":
            signature = head
        elif entry.name != "public_key.pem":
            unlisted.append({"name": entry.name, "sha256": digest.hexdigest(), "size": entry.size})
    assert manifest and signature and not unlisted, "the end of the manifest is missing"
    with tempfile.TemporaryDirectory() as folder:
        (text, seal) = (Path(folder) / "text", Path(folder) / "seal")
        text.write_bytes(manifest), seal.write_bytes(signature)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", text, "-sigfile", seal]
        assert subprocess.run(command, capture_output=True).returncode == 0, "the signature is of another key or text"
    told = json.loads(manifest)
    assert (told["parts"], told["entries"], told["last_part"]) == (parts, entries, last), "the manifest is of another archive"
    return told


if __name__ == "__main__":
    try:
        with tarfile.open(sys.argv[1], "r:") as opened:
            print("verified:", json.dumps(verify(opened, sys.argv[2])))
    except (AssertionError, tarfile.TarError, ValueError, KeyError) as wrong:
        sys.exit(f"not as it was written: {wrong}")
