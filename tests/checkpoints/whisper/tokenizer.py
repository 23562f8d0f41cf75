"""Builds Whisper's multilingual tokenizer.json from the rank table in openai-whisper's sdist.

    python -m tests.checkpoints.whisper.tokenizer FOLDER

The table (MIT) is taken from the sdist with pip, so no model hub is needed. CTranslate2 calls a
model multilingual by the size of its vocabulary, hence the whole table though the closed set uses
a few hundred rows.
"""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers


SDIST = "openai-whisper==20250625"
_LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th "
    "ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr "
    "pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt "
    "haw ln ha ba jw su"
)
LANGUAGES = _LANGUAGES.split()
TASKS = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
TIMESTAMPS = 1501


def fetch_ranks() -> dict[bytes, int]:
    """Token bytes -> rank, out of the sdist."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--no-binary",
            ":all:",
        ]
        subprocess.run([*command, "--no-build-isolation", SDIST, "-d", folder], check=True)
        archive = next(Path(folder).glob("*.tar.gz"))
        with tarfile.open(archive) as tar:
            name = next(n for n in tar.getnames() if n.endswith("assets/multilingual.tiktoken"))
            member = tar.extractfile(name)
            assert member is not None
            lines = io.TextIOWrapper(member, "ascii").read().splitlines()
    pairs = (line.split() for line in lines if line)
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


def byte_alphabet() -> dict[int, str]:
    """GPT-2's printable stand-in for every byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in alphabet]
    alphabet.update({byte: chr(256 + i) for i, byte in enumerate(others)})
    return alphabet


def split_pair(token: bytes, rank: int, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two parts whose merge makes ``token``: merge by rank, stopping short of its own."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        pairs = [
            (ranks[a + b], i)
            for i, (a, b) in enumerate(zip(parts, parts[1:], strict=False))
            if ranks.get(a + b, rank) < rank
        ]
        _, i = min(pairs)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return parts[0], parts[1]


def build_tokenizer(ranks: dict[bytes, int]) -> Tokenizer:
    alphabet = byte_alphabet()

    def write(token: bytes) -> str:
        return "".join(alphabet[byte] for byte in token)

    merges = [
        tuple(map(write, split_pair(token, rank, ranks)))
        for token, rank in sorted(ranks.items(), key=lambda pair: pair[1])
        if len(token) > 1
    ]
    vocabulary = {write(token): rank for token, rank in ranks.items()}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["endoftext", "startoftranscript", *LANGUAGES, *TASKS]
    tokenizer.add_special_tokens(
        [AddedToken(f"<|{name}|>", special=True, normalized=False) for name in specials]
    )
    tokenizer.add_tokens(
        [
            AddedToken(f"<|{i * 0.02:.2f}|>", special=False, normalized=False)
            for i in range(TIMESTAMPS)
        ]
    )
    assert tokenizer.token_to_id("<|endoftext|>") == 50257
    assert tokenizer.token_to_id("<|es|>") == 50262
    assert tokenizer.token_to_id("<|0.00|>") == 50364
    return tokenizer


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    build_tokenizer(fetch_ranks()).save(str(target / "tokenizer.json"), pretty=False)
